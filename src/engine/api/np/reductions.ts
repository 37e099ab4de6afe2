/** Reductions over all axes or some, and running sums. */
import { isFloat } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { Tensor } from '../tensor.js'
import { normalizeAxes, normalizeAxis } from '../values.js'
import type { Axes } from '../values.js'
import { add, astype, exp, log, square, sqrt, subtract, where } from './elementwise.js'
import { truth } from './operands.js'

export interface ReduceOptions {
  /** All axes unless given. */
  axis?: Axes
  /** Keeps the reduced axes, with length 1. */
  keepdims?: boolean
}

const keep = (result: Value, x: Tensor, axes: readonly number[]): Value =>
  ops.reshape(
    result,
    x.shape.map((d, i) => (axes.includes(i) ? 1 : d)),
  )

const reduction =
  (f: (x: Value, axes: readonly number[]) => Value, operand: (x: Tensor) => Value) =>
  (x: Tensor, { axis, keepdims = false }: ReduceOptions = {}): Tensor => {
    const axes = normalizeAxes(axis, x.ndim)
    const result = f(operand(x), axes)
    return new Tensor(keepdims ? keep(result, x, axes) : result)
  }

const countable = (x: Tensor): Value => (x.dtype === 'bool' ? ops.convertElementType(x.value, 'int32') : x.value)
const nonEmpty =
  (f: (x: Value, axes: readonly number[]) => Value) =>
  (x: Value, axes: readonly number[]): Value => {
    check(
      axes.every(a => x.shape[a] > 0),
      'there is no maximum or minimum of nothing: the axis is empty',
    )
    return f(x, axes)
  }

/** bool is counted as int32. */
export const sum = reduction(ops.reduceSum, countable),
  prod = reduction(ops.reduceProd, countable)
export const max = reduction(nonEmpty(ops.reduceMax), x => x.value),
  min = reduction(nonEmpty(ops.reduceMin), x => x.value)
export const all = reduction(ops.reduceAnd, truth),
  any = reduction(ops.reduceOr, truth)

/** Integers are averaged as float32; 16-bit floats too, the mean is rounded back. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const dtype: DType = isFloat(x.dtype) ? x.dtype : 'float32'
  const total = sum(astype(x, 'float32'), options)
  return astype(new Tensor(ops.div(total.value, count(x, options))), dtype)
}

const count = (x: Tensor, { axis }: ReduceOptions): number => sizeOf(normalizeAxes(axis, x.ndim).map(a => x.shape[a]))

/** `correction`: what is taken from the count in the divisor (1 for the unbiased estimate). */
export interface VarianceOptions extends ReduceOptions {
  correction?: number
}

/** The mean squared distance from the mean. */
export function variance(x: Tensor, { correction = 0, ...options }: VarianceOptions = {}): Tensor {
  const dtype: DType = isFloat(x.dtype) ? x.dtype : 'float32'
  const wide = astype(x, 'float32')
  const distance = subtract(wide, mean(wide, { ...options, keepdims: true }))
  const total = sum(square(distance), options)
  return astype(new Tensor(ops.div(total.value, Math.max(0, count(x, options) - correction))), dtype)
}

/** The standard deviation: the root of the variance. */
export const std = (x: Tensor, options: VarianceOptions = {}): Tensor => sqrt(variance(x, options))

/** log(sum(exp(x))), without overflow: the maximum is taken out first. */
export function logsumexp(x: Tensor, { axis, keepdims = false }: ReduceOptions = {}): Tensor {
  const axes = normalizeAxes(axis, x.ndim)
  const wide = isFloat(x.dtype) ? x : astype(x, 'float32')
  const top = new Tensor(ops.stopGradient(max(wide, { axis: axes, keepdims: true }).value))
  const shift = where(new Tensor(ops.isFinite(top.value)), top, 0) // all -Infinity: nothing to take out
  const result = add(log(sum(exp(subtract(wide, shift)), { axis: axes, keepdims: true })), shift)
  return keepdims
    ? result
    : new Tensor(
        ops.reshape(
          result.value,
          x.shape.filter((_, i) => !axes.includes(i)),
        ),
      )
}

/** The position (int32) of the greatest or least element along an axis (the last unless given), the first among equals. */
export const argmax = (x: Tensor, axis = -1): Tensor => new Tensor(ops.argmax(x.value, normalizeAxis(axis, x.ndim)))
export const argmin = (x: Tensor, axis = -1): Tensor => new Tensor(ops.argmin(x.value, normalizeAxis(axis, x.ndim)))
/** Running sums along an axis (the last unless given); bool is counted as int32. */
export const cumsum = (x: Tensor, axis = -1): Tensor =>
  new Tensor(ops.cumsum(countable(x), normalizeAxis(axis, x.ndim)))
