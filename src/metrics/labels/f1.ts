import { check } from '../../base/errors.js'
import { checkCounts } from '../check.js'
import type { Figures, MetricFunction } from '../metric.js'
import { mean } from '../statistics.js'

/**
 * The F-measure of a class: 2 TP / (2 TP + FP + FN), weighted; 0 if the class is neither a target nor a prediction.
 * `isTarget[i]` and `isPredicted[i]`: whether example i is of the class.
 */
export function classF1(
  isTarget: readonly boolean[],
  isPredicted: readonly boolean[],
  weights?: readonly number[],
): number {
  let [both, either] = [0, 0]
  isTarget.forEach((target, i) => {
    const weight = weights?.[i] ?? 1
    if (target && isPredicted[i]) both += weight
    either += weight * (Number(target) + Number(isPredicted[i]))
  })
  return either > 0 ? (2 * both) / either : 0
}

/**
 * A metric: the unweighted mean of the F-measures of the classes 0 to numClasses - 1, 0 to 100, as
 * `{ mean_3class_f1 }`. A class that occurs nowhere counts as 0; a prediction of no class is wrong for its target only.
 * `sampleWeight`: a weight for each example.
 */
export const meanMulticlassF1 =
  (
    numClasses: number,
    { sampleWeight }: { readonly sampleWeight?: readonly number[] } = {},
  ): MetricFunction<number, number> =>
  (targets, predictions) => {
    checkCounts(targets, predictions)
    if (sampleWeight) checkCounts(targets, sampleWeight)
    const scores = Array.from({ length: numClasses }, (_, label) =>
      classF1(
        targets.map(target => target === label),
        predictions.map(prediction => prediction === label),
        sampleWeight,
      ),
    )
    return { [`mean_${numClasses}class_f1`]: 100 * mean(scores) }
  }

/**
 * The F-measure of class 1, 0 to 100: `{ f1 }`. Targets are 0 or 1; any other prediction is wrong, and becomes the
 * opposite of its target.
 */
export function f1ScoreWithInvalid(targets: readonly number[], predictions: readonly number[]): Figures {
  checkCounts(targets, predictions)
  targets.forEach((target, i) =>
    check(target === 0 || target === 1, () => `target ${i} is ${target}: f1ScoreWithInvalid needs targets of 0 and 1`),
  )
  const valid = predictions.map((prediction, i) => (prediction === 0 || prediction === 1 ? prediction : 1 - targets[i]))
  return {
    f1:
      100 *
      classF1(
        targets.map(target => target === 1),
        valid.map(prediction => prediction === 1),
      ),
  }
}

/** `f1ScoreWithInvalid` of the values that the postprocessor `multirc` makes, over all answers to all questions. */
export const multircF1OverAllAnswers = (
  targets: readonly { readonly value: number }[],
  predictions: readonly { readonly value: number }[],
): Figures =>
  f1ScoreWithInvalid(
    targets.map(({ value }) => value),
    predictions.map(({ value }) => value),
  )
