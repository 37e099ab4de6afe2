import type { Fields, Preprocessor } from '../../preprocessor.js'
import type { Seed } from '../../random/seed.js'
import { randomFloat32, randomInt32, uniformFloat32 } from '../../random/stateless.js'
import { filterDataset } from '../../stages/filter.js'
import { flatMapDataset } from '../../stages/flat-map.js'
import { mapWithSeeds } from '../../stages/map-with-seeds.js'
import { splitTextToWords } from './simple.js'
import { stripAscii } from './tensorflow-text.js'

export interface FillInTheBlankOptions {
  readonly textKey?: string
  /** The text with which the inputs begin. Default: `fill: `. */
  readonly label?: string
}

const { fround } = Math
const wordsOf = (example: Fields): readonly string[] => example.words as readonly string[]

/**
 * T5's `fill_in_the_blank`: cuts a text at random words into segments. Every second segment is in the inputs, the
 * others in the targets, with X in the place of each missing segment; then the same with the sides exchanged. Texts of
 * one word are dropped.
 */
export const fillInTheBlank = ({ textKey = 'text', label = 'fill: ' }: FillInTheBlankOptions = {}): Preprocessor => {
  const split = splitTextToWords({ textKey })
  return {
    name: 'fillInTheBlank',
    apply(dataset, context) {
      const sides = mapWithSeeds(split.apply(dataset, context), context.seeds, 3, (example, seeds) =>
        twoSides(wordsOf(example), seeds),
      )
      return flatMapDataset(sides, ([even, odd]) => [
        { inputs: label + even, targets: odd },
        { inputs: label + odd, targets: even },
      ])
    },
  }
}

/** The text of the segments with even and with odd numbers; the first segment has number 1. */
function twoSides(words: readonly string[], [rateSeed, breakSeed, oneSeed]: readonly Seed[]): [string, string] {
  // A break after each word with a probability that is log-uniform between 1 / (words + 2) and 1 / 2.
  const least = -fround(Math.log(fround(fround(words.length) + 2)))
  const rate = fround(Math.exp(randomFloat32(rateSeed, least, -fround(Math.log(2)))))
  const breaks = Array.from(uniformFloat32(breakSeed, words.length - 1), value => value < rate)
  if (!breaks.includes(true)) breaks[randomInt32(oneSeed, 0, words.length - 1)] = true
  const sides = ['', '']
  let segment = 1
  words.forEach((word, i) => {
    const isFirst = i === 0 || breaks[i - 1]
    if (i > 0 && isFirst) segment++
    sides[segment % 2] += ` ${word}`
    if (isFirst) sides[(segment + 1) % 2] += ' X'
  })
  return [sides[0].slice(1), sides[1].slice(1)]
}

export interface FillInTheBlankSizedOptions extends FillInTheBlankOptions {
  /** The sizes by which blanks are named. Default: powers of two up to 512. */
  readonly sizeBins?: readonly number[]
}

/**
 * T5's `fill_in_the_blank_sized`: one random blank of a text is the targets. In the inputs it is `_4_`, where 4 is the
 * bin that is nearest to its number of words.
 */
export const fillInTheBlankSized = ({
  textKey = 'text',
  label = 'fill: ',
  sizeBins = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
}: FillInTheBlankSizedOptions = {}): Preprocessor => {
  const split = splitTextToWords({ textKey })
  const bins = [...sizeBins].sort((a, b) => a - b)
  return {
    name: 'fillInTheBlankSized',
    apply(dataset, context) {
      const long = filterDataset(split.apply(dataset, context), example => wordsOf(example).length >= bins[0])
      return mapWithSeeds(long, context.seeds, 2, (example, [sizeSeed, startSeed]) => {
        const words = wordsOf(example)
        const size = randomInt32(sizeSeed, bins[0], Math.min(words.length, bins.at(-1)!))
        const start = randomInt32(startSeed, 0, Math.max(0, words.length - size) + 1)
        const bin = bins.reduce((best, other) => (Math.abs(other - size) < Math.abs(best - size) ? other : best))
        const around = [words.slice(0, start).join(' '), `_${bin}_`, words.slice(start + size).join(' ')]
        return {
          inputs: stripAscii(label + stripAscii(around.join(' '))),
          targets: stripAscii(words.slice(start, start + size).join(' ')),
        }
      })
    },
  }
}
