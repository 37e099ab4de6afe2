import type { Preprocessor } from '../../preprocessor.js'
import { randomFloat32, randomInt32 } from '../../random/stateless.js'
import { flatMapDataset } from '../../stages/flat-map.js'
import { mapWithSeeds } from '../../stages/map-with-seeds.js'
import { textAt } from './fields.js'
import { asciiWords } from './tensorflow-text.js'

export interface RandomSplitTextOptions {
  readonly textKey?: string
  readonly minWordsPerSegment?: number
  readonly maxWordsPerSegment?: number
  /** Of a longer text, one random chunk of this many words is used; 0: no limit. Default: 8192. */
  readonly maxWordsTotal?: number
}

/**
 * T5's `random_split_text`: cuts each text into segments of equally many words, the last of fewer. The number is drawn
 * for each text, log-uniformly from `minWordsPerSegment` (default: 16) to `maxWordsPerSegment` (512).
 */
export const randomSplitText = ({
  textKey = 'text',
  minWordsPerSegment = 16,
  maxWordsPerSegment = 512,
  maxWordsTotal = 8192,
}: RandomSplitTextOptions = {}): Preprocessor => {
  const name = 'randomSplitText'
  const [least, greatest] = [minWordsPerSegment, maxWordsPerSegment].map(words => Math.fround(Math.log(words)))
  return {
    name,
    apply(dataset, { seeds: counter }) {
      const texts = mapWithSeeds(dataset, counter, 2, (example, [chunkSeed, lengthSeed]) => {
        const all = asciiWords(textAt(example, textKey, name))
        const chunks = maxWordsTotal > 0 ? Math.max(1, Math.ceil(all.length / maxWordsTotal)) : 1
        const first = maxWordsTotal > 0 ? maxWordsTotal * randomInt32(chunkSeed, 0, chunks) : 0
        const length = Math.trunc(Math.fround(Math.exp(randomFloat32(lengthSeed, least, greatest))))
        return { words: maxWordsTotal > 0 ? all.slice(first, first + maxWordsTotal) : all, length }
      })
      return flatMapDataset(texts, ({ words, length }) =>
        Array.from({ length: Math.ceil(words.length / length) }, (_, i) => ({
          [textKey]: words.slice(i * length, (i + 1) * length).join(' '),
        })),
      )
    },
  }
}
