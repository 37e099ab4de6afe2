/**
 * Reductions over all axes or some.
 *
 * - sums: sum, prod, mean, average, var, std, logsumexp, countNonzero
 * - extremes: max (amax), min (amin), ptp, argmax, argmin
 * - truth: all, any
 *
 * `axis` is one axis or several, negative ones counted from the last; all unless given. It may be given alone, as in
 * NumPy: `sum(x, 0)` is `sum(x, { axis: 0 })`. `keepdims` keeps the reduced
 * axes, with length 1. Reductions without NaN are in `nan-reductions.ts`, running ones in `cumulative.ts`.
 */
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readAxis, readAxisOptions } from '../arguments.js'
import type { AxisOption } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { normalizeAxes, normalizeAxis, stretch } from '../values.js'
import type { Axes } from '../values.js'
import { add, divide, multiply, square, subtract } from './arithmetic.js'
import { exp, log, sqrt } from './exponential.js'
import { astype, where } from './logic.js'
import { asFloat, asTensor, floating, lift, truth } from './operands.js'

/** Axes of a reduction. */
export interface ReduceOptions {
  /** All axes unless given. */
  axis?: Axes
  /** Keeps the reduced axes, with length 1. */
  keepdims?: boolean
}

const keep = (result: Value, { shape }: Value, axes: readonly number[]): Value =>
  ops.reshape(
    result,
    shape.map((d, i) => (axes.includes(i) ? 1 : d)),
  )

/** The options of the reduction `np[name]`, which may be its axis alone. */
export const reduceOptions = (name: string, options: ReduceOptions | Axes): ReduceOptions =>
  readAxisOptions(`np.${name}`, options, ['axis', 'keepdims'])

const reduction =
  (name: string, f: (x: Value, axes: readonly number[]) => Value, operand: (x: TensorLike) => Value) =>
  (x: TensorLike, options: ReduceOptions | Axes = {}): Tensor => {
    const { axis, keepdims = false } = reduceOptions(name, options)
    const value = operand(x)
    const axes = normalizeAxes(axis, value.ndim)
    const result = f(value, axes)
    return new Tensor(keepdims ? keep(result, value, axes) : result)
  }

/** The dtype of sums: bool, 8- and 16-bit integers are summed in 32 bits, as in JAX. */
export function sumDtype(dtype: DType): DType {
  if (dtype === 'bool' || dtype === 'int8') return 'int32'
  return dtype === 'uint8' || dtype === 'uint16' ? 'uint32' : dtype
}

/** An operand in the dtype that it is summed in. */
export const countable = (x: TensorLike): Value => {
  const operand = asTensor(x)
  return lift(operand, sumDtype(operand.dtype))
}

const valueOf = (x: TensorLike): Value => asTensor(x).value

/** The sum; 0 of nothing. bool and int8 give int32, uint8 and uint16 uint32, as in JAX. */
export const sum = reduction('sum', ops.reduceSum, countable)

/** The product; 1 of nothing. bool and int8 give int32, uint8 and uint16 uint32, as in JAX. */
export const prod = reduction('prod', ops.reduceProd, countable)

const checkNotEmpty = (name: string, { shape }: Value, axes: readonly number[]): void =>
  check(
    axes.every(a => shape[a] > 0),
    () => `${name} of [${shape}] along [${axes}] is not defined: there are no elements`,
  )

const extreme = (
  name: string,
  ofNumbers: (x: Value, axes: readonly number[]) => Value,
  ofBool: (x: Value, axes: readonly number[]) => Value,
): ((x: TensorLike, options?: ReduceOptions | Axes) => Tensor) =>
  reduction(
    name,
    (x, axes) => {
      checkNotEmpty(name, x, axes)
      return (x.dtype === 'bool' ? ofBool : ofNumbers)(x, axes)
    },
    valueOf,
  )

/**
 * The greatest element; NaN where there is one. Throws a ShapeError for an empty axis. Equal elements share the
 * gradient.
 */
export const max = extreme('max', ops.reduceMax, ops.reduceOr)

/**
 * The least element; NaN where there is one. Throws a ShapeError for an empty axis. Equal elements share the gradient.
 */
export const min = extreme('min', ops.reduceMin, ops.reduceAnd)

/** Another name of `max`. */
export const amax = max

/** Another name of `min`. */
export const amin = min

/** The greatest less the least element. Throws a ShapeError for an empty axis. */
export const ptp = (x: TensorLike, options: ReduceOptions | Axes = {}): Tensor => {
  const known = reduceOptions('ptp', options)
  return subtract(max(x, known), min(x, known))
}

/** Whether all elements are true (other than 0); true of nothing. */
export const all = reduction('all', ops.reduceAnd, truth)

/** Whether any element is true (other than 0); false of nothing. */
export const any = reduction('any', ops.reduceOr, truth)

/** How many elements are other than 0 (NaN is), as int32. */
export const countNonzero = (x: TensorLike, options: ReduceOptions | Axes = {}): Tensor =>
  sum(new Tensor(truth(x)), reduceOptions('countNonzero', options))

const count = (x: Tensor, { axis }: ReduceOptions): number => sizeOf(normalizeAxes(axis, x.ndim).map(a => x.shape[a]))

/**
 * The sum divided by the number of elements; NaN for an empty axis. Integers and bool give float32; 16-bit floats are
 * summed in float32.
 */
export function mean(x: TensorLike, given: ReduceOptions | Axes = {}): Tensor {
  const options = reduceOptions('mean', given)
  const operand = asTensor(x)
  const total = sum(astype(operand, 'float32'), options)
  return astype(new Tensor(ops.div(total.value, count(operand, options))), floating(operand.dtype))
}

/**
 * sum(x weights) / sum(weights); the mean without weights. Weights have x's shape, or are a vector [n] along one
 * axis of length n. Integers give float32.
 */
export function average(x: TensorLike, given: (ReduceOptions & { weights?: TensorLike }) | Axes = {}): Tensor {
  const { weights, axis, keepdims } = readAxisOptions('np.average', given, ['axis', 'keepdims', 'weights'])
  const operand = asFloat(x)
  if (weights === undefined) return mean(operand, { axis, keepdims })
  const w = asTensor(weights)
  const isVector = w.ndim === 1 && operand.ndim !== 1
  check(!isVector || typeof axis === 'number', () => `average: weights ${w} of ${operand} need one axis`)
  const along = isVector ? normalizeAxis(axis as number, operand.ndim) : 0
  const spread = isVector
    ? ops.reshape(
        w.value,
        operand.shape.map((_, i) => (i === along ? w.size : 1)),
      )
    : w.value
  const full = new Tensor(stretch(spread, operand.shape))
  const options = { axis, keepdims }
  return divide(sum(multiply(operand, full), options), sum(asFloat(full), options))
}

/** `correction`: the divisor is the number of elements minus this (1 for the unbiased estimate). NumPy's ddof. */
export interface VarianceOptions extends ReduceOptions {
  correction?: number
}

/** The options of the function `np[name]`, which may be its axis alone. */
export const varianceOptions = (name: string, options: VarianceOptions | Axes): VarianceOptions =>
  readAxisOptions(`np.${name}`, options, ['axis', 'keepdims', 'correction'])

/**
 * The mean squared distance from the mean, divided by count - correction; NaN if that is 0 or less. Integers and bool
 * give float32; 16-bit floats are computed in float32.
 */
export function variance(x: TensorLike, given: VarianceOptions | Axes = {}): Tensor {
  const { correction = 0, ...options } = varianceOptions('var', given)
  const operand = asTensor(x)
  const wide = astype(operand, 'float32')
  const distance = subtract(wide, mean(wide, { ...options, keepdims: true }))
  const total = sum(square(distance), options)
  return astype(
    new Tensor(ops.div(total.value, Math.max(0, count(operand, options) - correction))),
    floating(operand.dtype),
  )
}

/** The standard deviation: the square root of the variance. */
export const std = (x: TensorLike, options: VarianceOptions | Axes = {}): Tensor =>
  sqrt(variance(x, varianceOptions('std', options)))

/** log(sum(exp(x))), without overflow; -Infinity of nothing. JAX's `jax.nn.logsumexp`. */
export function logsumexp(x: TensorLike, given: ReduceOptions | Axes = {}): Tensor {
  const { axis, keepdims = false } = reduceOptions('logsumexp', given)
  const operand = asFloat(x)
  const axes = normalizeAxes(axis, operand.ndim)
  const options = { axis: axes, keepdims: true }
  const isEmpty = axes.some(a => operand.shape[a] === 0)
  const kept = isEmpty ? log(sum(operand, options)) : shiftedLogSum(operand, options)
  return keepdims
    ? kept
    : new Tensor(
        ops.reshape(
          kept.value,
          operand.shape.filter((_, i) => !axes.includes(i)),
        ),
      )
}

function shiftedLogSum(x: Tensor, options: ReduceOptions): Tensor {
  const greatest = new Tensor(ops.stopGradient(max(x, options).value))
  const shift = where(new Tensor(ops.isFinite(greatest.value)), greatest, 0) // all -Infinity: nothing to take out
  return add(log(sum(exp(subtract(x, shift)), options)), shift)
}

const position =
  (name: string, f: (x: Value, axis: number) => Value) =>
  (x: TensorLike, axis: number | AxisOption = -1): Tensor => {
    const value = valueOf(x)
    const at = normalizeAxis(readAxis(`np.${name}`, axis, -1), value.ndim)
    checkNotEmpty(name, value, [at])
    return new Tensor(f(value.dtype === 'bool' ? ops.convertElementType(value, 'int32') : value, at))
  }

/**
 * The position (int32) of the greatest element along an axis, the first among equals; of the first NaN where there is
 * one. The last axis unless given (in NumPy: of the flattened array). Throws a ShapeError for an empty axis.
 */
export const argmax = position('argmax', ops.argmax)

/** The position (int32) of the least element along an axis, the first among equals: see `argmax`. */
export const argmin = position('argmin', ops.argmin)
