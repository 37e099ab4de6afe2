import { check } from '../../base/errors.js'
import { checkCounts } from '../check.js'
import type { Figures } from '../metric.js'
import { mean, sum } from '../statistics.js'

/**
 * Pearson's correlation coefficient, -100 to 100: `{ pearson_corrcoef }`. NaN if all targets or all predictions are the
 * same. Throws a ShapeError for fewer than two examples.
 */
export function pearsonCorrcoef(targets: readonly number[], predictions: readonly number[]): Figures {
  checkCounts(targets, predictions)
  check(targets.length > 1, 'pearsonCorrcoef needs at least two examples')
  return { pearson_corrcoef: 100 * correlation(targets, predictions) }
}

/**
 * Spearman's rank correlation coefficient, -100 to 100: `{ spearman_corrcoef }`, Pearson's of the ranks, where equal
 * values share their mean rank. NaN for fewer than two examples, or if one side is constant.
 */
export function spearmanCorrcoef(targets: readonly number[], predictions: readonly number[]): Figures {
  checkCounts(targets, predictions)
  return { spearman_corrcoef: 100 * correlation(ranks(targets), ranks(predictions)) }
}

/** NaN if a side is constant, or a value is NaN. */
function correlation(x: readonly number[], y: readonly number[]): number {
  const [dx, dy] = [x, y].map(values => {
    if (values.every(value => value === values[0])) return [NaN]
    const center = mean(values)
    const deviations = values.map(value => value - center)
    const norm = Math.sqrt(sum(deviations.map(deviation => deviation ** 2)))
    return deviations.map(deviation => deviation / norm)
  })
  if (dx.length !== dy.length) return NaN
  const product = sum(dx.map((value, i) => value * dy[i]))
  return Math.max(-1, Math.min(1, product))
}

/** The rank of each value from 1; equal values have the mean of their ranks. A NaN makes all ranks NaN. */
function ranks(values: readonly number[]): number[] {
  if (values.some(Number.isNaN)) return values.map(() => NaN)
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b])
  const result = new Array<number>(values.length)
  for (let start = 0; start < order.length;) {
    let end = start + 1
    while (end < order.length && values[order[end]] === values[order[start]]) end++
    for (const i of order.slice(start, end)) result[i] = (start + 1 + end) / 2
    start = end
  }
  return result
}

/**
 * Matthews' correlation coefficient for any number of classes, -100 to 100: `{ matthews_corrcoef }`; 0 if all targets
 * or all predictions are of one class, or there are none. (Gorodkin, 2004.)
 */
export function matthewsCorrcoef<T>(targets: readonly T[], predictions: readonly T[]): Figures {
  checkCounts(targets, predictions)
  const total = targets.length
  const counts = (values: readonly T[], label: T): number => values.filter(value => value === label).length
  let [targetSquares, predictedSquares, products] = [0, 0, 0]
  for (const label of new Set([...targets, ...predictions])) {
    const [t, p] = [counts(targets, label), counts(predictions, label)]
    targetSquares += t * t
    predictedSquares += p * p
    products += t * p
  }
  const right = targets.filter((target, i) => target === predictions[i]).length
  const norm = Math.sqrt((total ** 2 - predictedSquares) * (total ** 2 - targetSquares))
  return { matthews_corrcoef: norm === 0 ? 0 : (100 * (right * total - products)) / norm }
}
