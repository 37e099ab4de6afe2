/**
 * Reductions that ignore NaN: nansum, nanprod, nanmean, nanvar, nanstd, nanmax, nanmin, nanargmax, nanargmin. See
 * `reductions.ts` for axes and dtypes; arrays of integers have no NaN. nanmedian and nanquantile are in
 * `statistics.ts`.
 */
import { isFloat } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { readAxis } from '../arguments.js'
import type { AxisOption } from '../arguments.js'
import { divide, maximum, square, subtract } from './arithmetic.js'
import { isNan } from './comparison.js'
import { sqrt } from './exponential.js'
import { astype, logicalNot, where } from './logic.js'
import { asTensor, floating } from './operands.js'
import {
  all,
  argmax,
  argmin,
  max,
  mean,
  min,
  prod,
  reduceOptions,
  std,
  sum,
  variance,
  varianceOptions,
} from './reductions.js'
import type { ReduceOptions, VarianceOptions } from './reductions.js'
import type { Axes } from '../values.js'

/** x with NaN replaced by a number. */
const replaced = (x: Tensor, by: number): Tensor => (isFloat(x.dtype) ? where(isNan(x), by, x) : x)

/** The sum of the elements that are not NaN; 0 if all are. */
export const nansum = (x: TensorLike, options: ReduceOptions | Axes = {}): Tensor =>
  sum(replaced(asTensor(x), 0), reduceOptions('nansum', options))

/** The product of the elements that are not NaN; 1 if all are. */
export const nanprod = (x: TensorLike, options: ReduceOptions | Axes = {}): Tensor =>
  prod(replaced(asTensor(x), 1), reduceOptions('nanprod', options))

/** How many elements are not NaN, as float32. */
const count = (x: Tensor, options: ReduceOptions): Tensor => astype(sum(logicalNot(isNan(x)), options), 'float32')

/** The mean of the elements that are not NaN; NaN if all are. */
export function nanmean(x: TensorLike, given: ReduceOptions | Axes = {}): Tensor {
  const options = reduceOptions('nanmean', given)
  const operand = asTensor(x)
  if (!isFloat(operand.dtype)) return mean(operand, options)
  const total = nansum(astype(operand, 'float32'), options)
  return astype(divide(total, count(operand, options)), operand.dtype)
}

/** The variance of the elements that are not NaN: see `var`. NaN where there are no more of them than `correction`. */
export function nanvar(x: TensorLike, given: VarianceOptions | Axes = {}): Tensor {
  const { correction = 0, ...options } = varianceOptions('nanvar', given)
  const operand = asTensor(x)
  if (!isFloat(operand.dtype)) return variance(operand, { correction, ...options })
  const wide = astype(operand, 'float32')
  const distance = subtract(wide, nanmean(wide, { ...options, keepdims: true }))
  const divisor = subtract(count(operand, options), correction)
  const result = divide(nansum(square(distance), options), maximum(divisor, 0))
  const isEnough = new Tensor(ops.gt(divisor.value, 0))
  return astype(where(isEnough, result, NaN), floating(operand.dtype))
}

/** The standard deviation of the elements that are not NaN: the root of `nanvar`. */
export const nanstd = (x: TensorLike, given: VarianceOptions | Axes = {}): Tensor => {
  const options = varianceOptions('nanstd', given)
  return isFloat(asTensor(x).dtype) ? sqrt(nanvar(x, options)) : std(x, options)
}

const extreme =
  (name: string, reduce: (x: TensorLike, options?: ReduceOptions) => Tensor, neutral: number) =>
  (x: TensorLike, given: ReduceOptions | Axes = {}): Tensor => {
    const options = reduceOptions(name, given)
    const operand = asTensor(x)
    if (!isFloat(operand.dtype)) return reduce(operand, options)
    return where(all(isNan(operand), options), NaN, reduce(replaced(operand, neutral), options))
  }

/** The greatest element that is not NaN; NaN if all are. Throws a ShapeError for an empty axis. */
export const nanmax = extreme('nanmax', max, -Infinity)

/** The least element that is not NaN; NaN if all are. Throws a ShapeError for an empty axis. */
export const nanmin = extreme('nanmin', min, Infinity)

const position =
  (name: string, find: (x: TensorLike, axis?: number) => Tensor, neutral: number) =>
  (x: TensorLike, given: number | AxisOption = -1): Tensor => {
    const axis = readAxis(`np.${name}`, given, -1)
    const operand = asTensor(x)
    check(operand.ndim > 0, () => `there is no axis to look along in ${operand}`)
    if (!isFloat(operand.dtype)) return find(operand, axis)
    const isReal = logicalNot(isNan(operand))
    const found = find(replaced(operand, neutral), axis)
    // NaN was replaced by the neutral infinity. If no element is better than that, the first one that is not NaN is the
    // result.
    const isNeutral = all(where(isReal, new Tensor(ops.eq(operand.value, neutral)), true), { axis })
    const real = where(isNeutral, argmax(isReal, axis), found)
    return where(all(isNan(operand), { axis }), -1, real)
  }

/**
 * The position (int32) of the greatest element that is not NaN along an axis, the last unless given; -1 if all are NaN,
 * as in JAX.
 */
export const nanargmax = position('nanargmax', argmax, -Infinity)

/**
 * The position (int32) of the least element that is not NaN along an axis, the last unless given; -1 if all are NaN, as
 * in JAX.
 */
export const nanargmin = position('nanargmin', argmin, Infinity)
