import { check } from '../../base/errors.js'
import { checkCounts } from '../check.js'
import type { Figures } from '../metric.js'
import { sum } from '../statistics.js'

export interface AucOptions {
  /** Makes targets of continuous values binary: values of at least this are positive. */
  readonly targetsThreshold?: number
}

/**
 * Areas under the ROC curve and the precision-recall curve, 0 to 1: `{ 'auc-roc', 'auc-pr' }`. Targets are 0 or 1 (or
 * false or true); `predictions` are any numbers, high for class 1. Throws a ShapeError if there is one class only.
 */
export function auc(
  targets: readonly (number | boolean)[],
  predictions: readonly number[],
  { targetsThreshold }: AucOptions = {},
): Figures {
  checkCounts(targets, predictions)
  const isPositive = targets.map((target, i) => {
    if (targetsThreshold !== undefined) return Number(target) >= targetsThreshold
    const value = Number(target)
    check(value === 0 || value === 1, () => `target ${i} is ${target}: auc needs targets of 0 and 1, or a threshold`)
    return value === 1
  })
  return areas(isPositive, predictions)
}

/** `auc` of the log-likelihoods that a model gives to the targets: a metric of scores. */
export const scoreAuc = (
  targets: readonly (number | boolean)[],
  scores: readonly number[],
  options: AucOptions = {},
): Figures => auc(targets, scores, options)

/**
 * Both areas, with weights. ROC: the probability that a positive example has a higher score than a negative one, where
 * equal scores count half. Precision-recall: the average precision, the sum over the distinct scores, from high to low,
 * of precision times the gain in recall (no interpolation). If all weights of a class are 0, the first is NaN.
 */
export function areas(isPositive: readonly boolean[], scores: readonly number[], weights?: readonly number[]): Figures {
  const weightOf = (i: number): number => weights?.[i] ?? 1
  const totalOf = (positive: boolean): number =>
    sum(isPositive.map((value, i) => (value === positive ? weightOf(i) : 0)))
  const [allPositive, allNegative] = [totalOf(true), totalOf(false)]
  check(isPositive.includes(true) && isPositive.includes(false), 'an area under a curve needs targets of both classes')
  check(scores.every(Number.isFinite), 'an area under a curve needs finite scores: one is NaN or infinite')
  const order = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a])
  let [positive, negative, ordered, precision] = [0, 0, 0, 0]
  for (let start = 0; start < order.length;) {
    let [newPositive, newNegative, end] = [0, 0, start]
    for (; end < order.length && scores[order[end]] === scores[order[start]]; end++) {
      if (isPositive[order[end]]) newPositive += weightOf(order[end])
      else newNegative += weightOf(order[end])
    }
    ordered += newNegative * (positive + newPositive / 2)
    positive += newPositive
    negative += newNegative
    if (positive > 0) precision += ((newPositive / allPositive) * positive) / (positive + negative)
    start = end
  }
  return { 'auc-roc': ordered / (allPositive * allNegative), 'auc-pr': precision }
}
