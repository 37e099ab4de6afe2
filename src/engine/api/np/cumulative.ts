/**
 * Running sums and differences along an axis: cumsum, cumprod, nancumsum, nancumprod, diff, ediff1d, gradient, unwrap,
 * trapezoid.
 *
 * The default axis is the last one. (NumPy's cumsum and cumprod flatten x by default.)
 */
import { isFloat } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readAxis, readOptions } from '../arguments.js'
import type { AxisOption } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { normalizeAxis } from '../values.js'
import { add, divide, multiply, remainder, subtract } from './arithmetic.js'
import { where } from './logic.js'
import { asFloat, asTensor, sliceAxis } from './operands.js'
import type { Unary } from './operands.js'
import { countable, sum } from './reductions.js'

/** Running sums: the i-th is x[0] + ... + x[i]. Narrow integers and bool are counted in 32 bits, as in `sum`. */
export function cumsum(x: TensorLike, axis: number | AxisOption = -1): Tensor {
  const value = countable(x)
  const at = normalizeAxis(readAxis('np.cumsum', axis, -1), value.ndim)
  return new Tensor(ops.cumsum(value, at, false))
}

/** Running products: the i-th is x[0] ... x[i], multiplied pairwise. Narrow integers and bool as in `prod`. */
export function cumprod(x: TensorLike, axis: number | AxisOption = -1): Tensor {
  const value = countable(x)
  const at = normalizeAxis(readAxis('np.cumprod', axis, -1), value.ndim)
  const n = value.shape[at]
  let result = value
  // After the step of width w, element i is the product of the 2 w elements up to i.
  for (let width = 1; width < n; width *= 2) {
    const low = value.shape.map((_, i) => (i === at ? width : 0))
    const high = value.shape.map((_, i) => (i === at ? -width : 0))
    const before = ops.pad(result, ops.full([], 1, value.dtype), low, high)
    result = ops.mul(result, before)
  }
  return new Tensor(result)
}

const without = (x: TensorLike, neutral: number): Tensor => {
  const operand = asTensor(x)
  const { value } = operand
  return isFloat(value.dtype) ? new Tensor(ops.select(ops.ne(value, value), neutral, value)) : operand
}

/** Running sums that count NaN as 0. */
export const nancumsum = (x: TensorLike, axis: number | AxisOption = -1): Tensor =>
  cumsum(without(x, 0), readAxis('np.nancumsum', axis, -1))

/** Running products that count NaN as 1. */
export const nancumprod = (x: TensorLike, axis: number | AxisOption = -1): Tensor =>
  cumprod(without(x, 1), readAxis('np.nancumprod', axis, -1))

/**
 * Differences of neighbours, x[i + 1] - x[i], applied `n` times, so that the axis becomes n shorter. bool: whether
 * neighbours differ.
 */
export function diff(x: TensorLike, options: { n?: number; axis?: number } = {}): Tensor {
  const { n = 1, axis = -1 } = readOptions('np.diff', options, ['n', 'axis'])
  check(Number.isInteger(n) && n >= 0, () => `diff is taken a whole number of times, not ${n}`)
  let { value } = asTensor(x)
  const at = normalizeAxis(axis, value.ndim)
  for (let time = 0; time < n; time++) {
    const length = value.shape[at]
    const [next, own] = [
      sliceAxis(value, at, Math.min(1, length), length),
      sliceAxis(value, at, 0, Math.max(0, length - 1)),
    ]
    value = value.dtype === 'bool' ? ops.xor(next, own) : ops.sub(next, own)
  }
  return new Tensor(value)
}

/** Differences of neighbours in the flattened array. */
export const ediff1d: Unary = (x: TensorLike) => {
  const { value, size } = asTensor(x)
  return diff(new Tensor(ops.reshape(value, [size])))
}

/**
 * The slope along an axis of values at points `dx` apart (1 unless given): half the difference of the neighbours on
 * both sides, over dx; at the ends the difference to the one neighbour. NumPy's `gradient`, of one axis. Throws a
 * ShapeError for an axis of fewer than 2 elements.
 */
export function gradient(x: TensorLike, options: { dx?: number; axis?: number } = {}): Tensor {
  const { dx = 1, axis = -1 } = readOptions('np.gradient', options, ['dx', 'axis'])
  const { value } = asFloat(x)
  const at = normalizeAxis(axis, value.ndim)
  const n = value.shape[at]
  check(n >= 2, () => `gradient needs 2 elements or more along axis ${at}, not ${n}`)
  const slope = (high: Value, low: Value, distance: number): Value => ops.div(ops.sub(high, low), distance * dx)
  const ends = [0, n - 2].map(i => slope(sliceAxis(value, at, i + 1, i + 2), sliceAxis(value, at, i, i + 1), 1))
  const middle = slope(sliceAxis(value, at, 2, n), sliceAxis(value, at, 0, n - 2), 2)
  return new Tensor(ops.concatenate([ends[0], middle, ends[1]], at))
}

/**
 * Angles along an axis without jumps: to each angle, a multiple of the period (default 2 pi) is added, so that it
 * differs from the previous angle by at most half a period.
 */
export function unwrap(x: TensorLike, options: { period?: number; axis?: number } = {}): Tensor {
  const { period = 2 * Math.PI, axis = -1 } = readOptions('np.unwrap', options, ['period', 'axis'])
  const { value } = asFloat(x)
  const at = normalizeAxis(axis, value.ndim)
  const n = value.shape[at]
  if (n < 2) return new Tensor(value)
  const step = diff(new Tensor(value), { axis: at })
  const shifted = subtract(remainder(add(step, period / 2), period), period / 2)
  // A difference of exactly +half a period keeps its sign, as in NumPy.
  const isUp = new Tensor(ops.and(ops.eq(shifted.value, -period / 2), ops.gt(step.value, 0)))
  const moved = subtract(where(isUp, period / 2, shifted), step)
  const isSmall = new Tensor(ops.lt(ops.abs(step.value), period / 2))
  const total = cumsum(where(isSmall, 0, moved), at).value
  const rest = ops.add(sliceAxis(value, at, 1, n), total)
  return new Tensor(ops.concatenate([sliceAxis(value, at, 0, 1), rest], at))
}

/**
 * The integral along an axis by the trapezoidal rule: the sum of (y[i] + y[i + 1]) / 2 times the distance of the
 * points, which is `dx` (1 unless given), or the differences of the points `x` (a vector, or of y's shape).
 */
export function trapezoid(y: TensorLike, options: { x?: TensorLike; dx?: number; axis?: number } = {}): Tensor {
  const { x, dx = 1, axis = -1 } = readOptions('np.trapezoid', options, ['x', 'dx', 'axis'])
  const { value } = asFloat(y)
  const at = normalizeAxis(axis, value.ndim)
  const n = value.shape[at]
  const pairs = new Tensor(
    ops.add(sliceAxis(value, at, Math.min(1, n), n), sliceAxis(value, at, 0, Math.max(0, n - 1))),
  )
  if (x === undefined) return multiply(sum(divide(pairs, 2), { axis: at }), dx)
  const points = asFloat(x)
  const widths = diff(points, { axis: points.ndim === 1 ? 0 : at })
  const shaped =
    points.ndim === 1
      ? new Tensor(
          ops.reshape(
            widths.value,
            value.shape.map((_, i) => (i === at ? widths.size : 1)),
          ),
        )
      : widths
  return sum(divide(multiply(pairs, shaped), 2), { axis: at })
}
