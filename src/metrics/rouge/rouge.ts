import { check } from '../../base/errors.js'
import type { Figures } from '../metric.js'
import { mean, median } from '../statistics.js'
import { MersenneTwister } from './mersenne-twister.js'
import { rougeScores, t5RougeKinds } from './scores.js'
import type { RougeKind, RougeScoreOptions } from './scores.js'

/** How many bootstrap samples `rouge` draws for each kind. */
const SAMPLES = 1000

export interface RougeOptions extends RougeScoreOptions {
  /** The seed of the bootstrap samples, 0 to 2^32 - 1; null: another one for each call, as in T5. Default: 0. */
  readonly seed?: number | null
}

/** The mean F-measure of each kind of ROUGE, 0 to 100: T5's `rouge_mean`. Throws a ShapeError without targets. */
export const rougeMean = (
  targets: readonly string[],
  predictions: readonly string[],
  options: RougeScoreOptions = {},
): Figures => {
  const scores = fMeasures(targets, predictions, options)
  return Object.fromEntries(Object.entries(scores).map(([kind, values]) => [kind, 100 * mean(values)]))
}

/**
 * T5's `rouge`, 0 to 100: for each kind, the median of the mean F-measures of 1000 bootstrap samples (as many examples
 * as there are, drawn with replacement). With a seed the samples are those of NumPy's `numpy.random.seed(seed)`. Throws
 * a ShapeError without targets.
 */
export function rouge(
  targets: readonly string[],
  predictions: readonly string[],
  { seed = 0, ...options }: RougeOptions = {},
): Figures {
  const random = new MersenneTwister(seed ?? Math.floor(Math.random() * 2 ** 32))
  const scores = fMeasures(targets, predictions, options)
  return Object.fromEntries(
    Object.entries(scores).map(([kind, values]) => {
      const means = Array.from({ length: SAMPLES }, () => {
        let total = 0
        for (let drawn = 0; drawn < values.length; drawn++) total += values[random.upTo(values.length - 1)]
        return total / values.length
      })
      return [kind, 100 * median(means)]
    }),
  )
}

/** The F-measures of all examples, by kind. Lists of different lengths are cut to the shorter one. */
function fMeasures(
  targets: readonly string[],
  predictions: readonly string[],
  options: RougeScoreOptions,
): Record<string, number[]> {
  const count = Math.min(targets.length, predictions.length)
  check(count > 0, 'rouge got no examples')
  const scores = Array.from({ length: count }, (_, i) => rougeScores(targets[i], predictions[i], options))
  const kinds: readonly RougeKind[] = options.scoreKeys ?? t5RougeKinds
  return Object.fromEntries(kinds.map(kind => [kind, scores.map(score => score[kind].fmeasure)]))
}
