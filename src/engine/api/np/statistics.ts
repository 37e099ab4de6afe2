/**
 * Statistics.
 *
 * - of order: median, quantile, percentile, nanmedian, nanquantile, nanpercentile
 * - counts: bincount, histogram, histogramBinEdges
 * - of several variables: cov, corrcoef
 */
import { isInteger } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readAxisOptions, readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { checkShape, normalizeAxes, stretch } from '../values.js'
import type { Axes } from '../values.js'
import { clip, divide, multiply, subtract } from './arithmetic.js'
import { linspace } from './creation.js'
import { sqrt } from './exponential.js'
import { matmul } from './linear-algebra.js'
import { where } from './logic.js'
import { diagonal } from './matrices.js'
import { asFloat, asTensor, lift } from './operands.js'
import { max, mean, min, reduceOptions, sum } from './reductions.js'
import type { ReduceOptions } from './reductions.js'
import { searchsorted, sort } from './sorting.js'
import { matrixTranspose, ravel, reshape } from './shape.js'

/**
 * How a quantile between two elements is computed: interpolated ('linear'), one of the two, or their mean ('midpoint').
 */
export type QuantileMethod = 'linear' | 'lower' | 'higher' | 'nearest' | 'midpoint'

/** Options of `quantile` and its relatives. */
export interface QuantileOptions extends ReduceOptions {
  /** 'linear' unless given. */
  method?: QuantileMethod
}

const methods: readonly QuantileMethod[] = ['linear', 'lower', 'higher', 'nearest', 'midpoint']

/** Quantiles of sorted rows [rows, n], of the first `count` [rows] elements of each row: [quantiles, rows]. */
function ofSorted(rows: Value, count: Value, q: Value, method: QuantileMethod): Value {
  const [m, n] = rows.shape
  const shape = [q.size, m]
  const last = ops.broadcastInDim(ops.max(ops.sub(count, 1), 0), shape, [1])
  const place = ops.mul(ops.broadcastInDim(q, shape, [0]), last)
  const [low, high] = [ops.floor(place), ops.ceil(place)]
  const at = (position: Value): Value => {
    const index = ops.transpose(ops.convertElementType(position, 'int32'), [1, 0]) // [rows, quantiles]
    const found = ops.gather(rows, ops.reshape(index, [m, q.size, 1]), { axes: [1], batchDims: 1, mode: 'clip' })
    return ops.transpose(found, [1, 0])
  }
  check(n > 0, 'the quantile of an empty axis is not defined')
  switch (method) {
    case 'lower':
      return at(low)
    case 'higher':
      return at(high)
    case 'nearest':
      return at(ops.round(place))
    case 'midpoint':
      return ops.mul(ops.add(at(low), at(high)), 0.5)
    case 'linear': {
      const share = ops.sub(place, low)
      // An element of weight 0 is not added, because 0 * Infinity is NaN.
      const [a, b] = [ops.mul(at(low), ops.sub(1, share)), ops.mul(at(high), share)]
      return ops.select(ops.eq(share, 0), at(low), ops.add(a, b))
    }
  }
}

function quantiles(
  name: string,
  x: TensorLike,
  q: TensorLike,
  options: QuantileOptions | Axes,
  skipNan: boolean,
): Tensor {
  const known = readAxisOptions(`np.${name}`, options, ['axis', 'keepdims', 'method'])
  const { axis, keepdims = false, method = 'linear' } = known
  check(methods.includes(method), () => `there is no method ${method} of ${name}: choose one of ${methods.join(', ')}`)
  const operand = asFloat(x)
  const { dtype, shape } = operand
  const axes = normalizeAxes(axis, operand.ndim)
  const kept = ops.range(operand.ndim).filter(i => !axes.includes(i))
  const keptShape = kept.map(i => shape[i])
  const [m, n] = [sizeOf(keptShape), sizeOf(axes.map(i => shape[i]))]
  const wide = ops.convertElementType(ops.transpose(operand.value, [...kept, ...axes]), 'float32')
  const rows = sort(new Tensor(ops.reshape(wide, [m, n]))).value // NaN last
  const isNan = ops.ne(rows, rows)
  const missing = ops.reduceSum(ops.convertElementType(isNan, 'float32'), [1])
  const all = ops.full([m], n, 'float32')
  const chosen = asTensor(q)
  const wanted = ops.reshape(lift(chosen, 'float32'), [chosen.size])
  const found = ofSorted(rows, skipNan ? ops.sub(all, missing) : all, wanted, method)
  const isBad = skipNan ? ops.eq(missing, n) : ops.gt(missing, 0)
  const bad = ops.or(
    ops.broadcastInDim(isBad, found.shape, [1]),
    ops.broadcastInDim(ops.not(ops.and(ops.ge(wanted, 0), ops.le(wanted, 1))), found.shape, [0]),
  )
  const result = ops.convertElementType(ops.select(bad, NaN, found), dtype)
  const reduced = keepdims ? shape.map((d, i) => (axes.includes(i) ? 1 : d)) : keptShape
  return new Tensor(ops.reshape(result, [...chosen.shape, ...reduced]))
}

/**
 * The q-th quantiles of the elements along axes (default: all), q in [0, 1]: the sorted elements at position q (n - 1);
 * `method` says what a position between two elements gives. Output: q's shape, then x's other axes. NaN where an
 * element is NaN or q is outside [0, 1]. Integers give float32; 16-bit floats are computed in float32. Throws a
 * ShapeError for an empty axis.
 */
export const quantile = (x: TensorLike, q: TensorLike, options: QuantileOptions | Axes = {}): Tensor =>
  quantiles('quantile', x, q, options, false)

/** As `quantile`, of the elements that are not NaN; NaN if all are. */
export const nanquantile = (x: TensorLike, q: TensorLike, options: QuantileOptions | Axes = {}): Tensor =>
  quantiles('nanquantile', x, q, options, true)

const percent = (q: TensorLike): Tensor => divide(q, 100)

/** As `quantile`, with q in [0, 100]. */
export const percentile = (x: TensorLike, q: TensorLike, options: QuantileOptions | Axes = {}): Tensor =>
  quantiles('percentile', x, percent(q), options, false)

/** As `nanquantile`, with q in [0, 100]. */
export const nanpercentile = (x: TensorLike, q: TensorLike, options: QuantileOptions | Axes = {}): Tensor =>
  quantiles('nanpercentile', x, percent(q), options, true)

/**
 * The middle element of the sorted ones, or the mean of the two in the middle; NaN where an element is. See `quantile`.
 */
export const median = (x: TensorLike, options: ReduceOptions | Axes = {}): Tensor =>
  quantiles('median', x, 0.5, { ...reduceOptions('median', options), method: 'midpoint' }, false)

/** The median of the elements that are not NaN; NaN if all are. */
export const nanmedian = (x: TensorLike, options: ReduceOptions | Axes = {}): Tensor =>
  quantiles('nanmedian', x, 0.5, { ...reduceOptions('nanmedian', options), method: 'midpoint' }, true)

/** Adds up `amounts` [n] at positions [n] of a vector of a length; positions outside it are left out. */
function addedAt(positions: Value, amounts: Value, length: number): Value {
  const index = ops.reshape(positions, [positions.size, 1])
  return ops.scatterAdd(ops.full([length], 0, amounts.dtype), index, amounts, { axes: [0], batchDims: 0, mode: 'drop' })
}

/**
 * How often each of 0, 1, ... length-1 occurs in a vector of integers: int32 [length]; or the sum of the `weights` [n]
 * of its occurrences. Negative numbers count as 0 and numbers from `length` on are left out, as in JAX. The length must
 * be given (NumPy takes it from the data).
 */
export function bincount(x: TensorLike, options: { length: number; weights?: TensorLike }): Tensor {
  const { length, weights } = readOptions('np.bincount', options, ['length', 'weights'], 'length')
  const operand = asTensor(x)
  checkShape([length])
  check(isInteger(operand.dtype) && operand.ndim === 1, () => `bincount takes a vector of integers, not ${operand}`)
  const ones = (): Value => ops.full(operand.shape, 1, 'int32')
  const amounts = weights === undefined ? ones() : stretch(asTensor(weights).value, operand.shape)
  return new Tensor(addedAt(ops.convertElementType(clip(operand, 0, null).value, 'int32'), amounts, length))
}

/** Options of `histogram`. */
export interface HistogramOptions {
  /** How many bins of one width, or the vector of their edges, which rises. 10 unless given. */
  bins?: number | TensorLike
  /** The first and the last edge: the least and the greatest element unless given. */
  range?: readonly [number, number]
}

/** The edges of the bins of a histogram: float [bins + 1]. */
export function histogramBinEdges(x: TensorLike, options: HistogramOptions = {}): Tensor {
  const { bins = 10, range } = readOptions('np.histogramBinEdges', options, ['bins', 'range'])
  if (typeof bins !== 'number') return asFloat(bins)
  check(Number.isInteger(bins) && bins > 0, () => `a histogram has 1 bin or more, not ${bins}`)
  const operand = asFloat(x)
  const isEmpty = operand.size === 0
  const [low, high] = (range ?? (isEmpty ? [0, 1] : [min(operand), max(operand)])).map(asFloat)
  const isPoint = new Tensor(ops.eq(lift(low, 'float32'), lift(high, 'float32')))
  return linspace(where(isPoint, subtract(low, 0.5), low), where(isPoint, subtract(high, -0.5), high), bins + 1)
}

/**
 * How many elements are in each bin, and the edges of the bins: [counts, edges], of [bins] and [bins + 1]. A bin has
 * its left edge, the last one its right edge too. Elements outside are left out. `weights` of x's shape are summed
 * instead; `density` divides by the sum and by the bins' widths. Counts are float32, as in JAX.
 */
export function histogram(
  x: TensorLike,
  options: HistogramOptions & { weights?: TensorLike; density?: boolean } = {},
): [counts: Tensor, edges: Tensor] {
  const {
    weights,
    density = false,
    ...binning
  } = readOptions('np.histogram', options, ['bins', 'range', 'weights', 'density'])
  const operand = asFloat(x)
  const edges = histogramBinEdges(operand, binning)
  const bins = edges.size - 1
  const flat = ravel(operand)
  const last = edges.get(bins)
  const after = searchsorted(edges, flat, { side: 'right' }).value
  const isLast = ops.eq(flat.value, stretch(lift(last, flat.dtype), flat.shape))
  const bin = ops.select(isLast, bins - 1, ops.sub(after, 1))
  const inside = ops.select(ops.ge(bin, 0), bin, bins) // NaN and what is beyond the last edge are at `bins` already
  const amounts = weights === undefined ? ops.full(flat.shape, 1, 'float32') : ravel(asFloat(weights)).value
  const counts = new Tensor(addedAt(inside, amounts, bins))
  if (!density) return [counts, edges]
  const widths = new Tensor(ops.sub(ops.slice(edges.value, [1], [bins + 1]), ops.slice(edges.value, [0], [bins])))
  return [divide(divide(counts, widths), sum(counts)), edges]
}

/** Options of `cov`. */
export interface CovarianceOptions {
  /** The divisor is the number of observations minus this (default 1). */
  correction?: number
  /** Whether each row is a variable and each column an observation: true unless given. */
  rowvar?: boolean
}

/**
 * The covariances of variables: [variables, variables] of a matrix [variables, observations]; of a vector its variance.
 */
export function cov(x: TensorLike, options: CovarianceOptions = {}): Tensor {
  const { correction = 1, rowvar = true } = readOptions('np.cov', options, ['correction', 'rowvar'])
  const operand = asFloat(x)
  check(operand.ndim === 1 || operand.ndim === 2, () => `cov takes a vector or a matrix, not ${operand}`)
  const rows = operand.ndim === 1 ? reshape(operand, [1, operand.size]) : rowvar ? operand : matrixTranspose(operand)
  const distance = subtract(rows, mean(rows, { axis: 1, keepdims: true }))
  const product = divide(matmul(distance, matrixTranspose(distance)), Math.max(0, rows.shape[1] - correction))
  return rows.shape[0] === 1 ? reshape(product, []) : product
}

/** The correlation coefficients of variables, in [-1, 1]: [variables, variables]. See `cov`. */
export function corrcoef(x: TensorLike, options: { rowvar?: boolean } = {}): Tensor {
  const { rowvar = true } = readOptions('np.corrcoef', options, ['rowvar'])
  const covariance = cov(x, { rowvar })
  if (covariance.ndim === 0) return divide(covariance, covariance)
  const deviation = sqrt(diagonal(covariance))
  const n = deviation.size
  const products = multiply(reshape(deviation, [n, 1]), reshape(deviation, [1, n]))
  return clip(divide(covariance, products), -1, 1)
}
