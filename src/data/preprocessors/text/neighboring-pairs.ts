import type { Fields, Preprocessor } from '../../preprocessor.js'
import { flatMapDataset } from '../../stages/flat-map.js'
import { textAt } from './fields.js'
import { stripAscii } from './tensorflow-text.js'

export interface NeighboringPairsOptions {
  readonly textKey?: string
  /** Whether a sentence may be in two pairs: A B, B C, C D, instead of A B, C D. Default: true. */
  readonly reuseSentences?: boolean
}

/**
 * T5's `neighboring_pairs`: `{ first, second }` for each two neighbouring sentences of a line. A sentence ends after
 * each run of ".", "!" and "?", also within "3.5". Pairs with an empty sentence are dropped.
 */
export const neighboringPairs = ({
  textKey = 'text',
  reuseSentences = true,
}: NeighboringPairsOptions = {}): Preprocessor => ({
  name: 'neighboringPairs',
  apply: dataset =>
    flatMapDataset(dataset, example =>
      textAt(example, textKey, 'neighboringPairs')
        .split('\n')
        .map(stripAscii)
        .filter(line => line !== '')
        .flatMap(line => pairsOf(sentencesOf(line), reuseSentences ? 1 : 2)),
    ),
})

const sentencesOf = (line: string): string[] => line.split(/(?<=[.!?])(?![.!?])/).map(stripAscii)

/** An end mark at the end of a line has an empty sentence after it. */
function pairsOf(sentences: readonly string[], step: number): Fields[] {
  const pairs: Fields[] = []
  for (let i = 0; i + 1 < sentences.length; i += step) pairs.push({ first: sentences[i], second: sentences[i + 1] })
  return pairs.filter(({ first, second }) => first !== '' && second !== '')
}
