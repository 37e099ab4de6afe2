import { checkCounts } from '../check.js'
import type { Figures } from '../metric.js'
import { deepEqual, mean } from '../statistics.js'

/** The share of predictions that equal their target, 0 to 100: `{ accuracy }`; NaN without examples. */
export const accuracy = <T>(targets: readonly T[], predictions: readonly T[]): Figures => ({
  accuracy: shareEqual(targets, predictions),
})

/** The share of texts that equal their target exactly, 0 to 100: `{ sequence_accuracy }`; NaN without examples. */
export const sequenceAccuracy = <T>(targets: readonly T[], predictions: readonly T[]): Figures => ({
  sequence_accuracy: shareEqual(targets, predictions),
})

function shareEqual<T>(targets: readonly T[], predictions: readonly T[]): number {
  checkCounts(targets, predictions)
  return 100 * mean(targets.map((target, i) => Number(deepEqual(target, predictions[i]))))
}

/** 100 if all predictions equal their targets and there are as many, otherwise 0: `{ exact_match }`. */
export const allMatch = <T>(targets: readonly T[], predictions: readonly T[]): Figures => ({
  exact_match: deepEqual(targets, predictions) ? 100 : 0,
})
