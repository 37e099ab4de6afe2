/** Shapes, windows and constants. Axes are numbers from 0 on. */
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { formatAval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { valueOf } from '../arguments.js'
import { describe } from '../describe.js'
import { defaultEngine } from '../engine.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { index, operand, operands } from './operands.js'

/** Throws a ShapeError unless a list of whole numbers is given. */
function whole(name: string, what: string, list: readonly number[]): readonly number[] {
  check(
    Array.isArray(list) && list.every(Number.isInteger),
    () =>
      `lax.${name}: ${what} must be a list of whole numbers, not ${Array.isArray(list) ? `[${list}]` : describe(list)}`,
  )
  return list
}

/** x stretched to a shape: axis i of x becomes axis dims[i] of the result, and is repeated if its length is 1. */
export const broadcastInDim = (x: TensorLike, shape: readonly number[], dims: readonly number[]): Tensor =>
  new Tensor(
    ops.broadcastInDim(
      operand('broadcastInDim', 'x', x),
      whole('broadcastInDim', 'the shape', shape),
      whole('broadcastInDim', 'dims', dims),
    ),
  )
/** The same elements, in row-major order, in another shape. */
export const reshape = (x: TensorLike, shape: readonly number[]): Tensor =>
  new Tensor(ops.reshape(operand('reshape', 'x', x), whole('reshape', 'the shape', shape)))
/** Axis i of the result is axis perm[i] of x. */
export const transpose = (x: TensorLike, perm: readonly number[]): Tensor =>
  new Tensor(ops.transpose(operand('transpose', 'x', x), whole('transpose', 'the permutation', perm)))
/** Arrays of one dtype, one after the other along an axis. */
export const concatenate = (xs: readonly TensorLike[], axis: number): Tensor =>
  new Tensor(ops.concatenate(operands('concatenate', xs), axis))
/**
 * x with `value` before (`low`), after (`high`) and between (`interior`) the elements of each axis; negative widths
 * crop.
 */
export const pad = (
  x: TensorLike,
  value: TensorLike,
  low: readonly number[],
  high: readonly number[],
  interior?: readonly number[],
): Tensor => {
  const v = operand('pad', 'x', x)
  const filling = value instanceof Tensor ? value.value : valueOf(value, 'lax.pad: the value', v.dtype)
  return new Tensor(ops.pad(v, filling, whole('pad', 'low', low), whole('pad', 'high', high), interior))
}
/** The elements from `start` to before `limit` of each axis, every strides-th one. */
export const slice = (
  x: TensorLike,
  start: readonly number[],
  limit: readonly number[],
  strides?: readonly number[],
): Tensor =>
  new Tensor(
    ops.slice(operand('slice', 'x', x), whole('slice', 'start', start), whole('slice', 'limit', limit), strides),
  )
/** In the opposite order along these axes. */
export const rev = (x: TensorLike, axes: readonly number[]): Tensor =>
  new Tensor(ops.rev(operand('rev', 'x', x), whole('rev', 'axes', axes)))
/** Each element's position along an axis. */
export const iota = (dtype: DType, shape: readonly number[], axis: number): Tensor => {
  defaultEngine()
  return new Tensor(ops.iota(dtype, whole('iota', 'the shape', shape), axis))
}

/** The starts of a window: a negative one counts from the end of its axis. */
function startsOf(name: string, x: Value, starts: readonly TensorLike[]): Value[] {
  check(
    Array.isArray(starts) && starts.length === x.ndim,
    () =>
      `lax.${name}: give a start for each axis of ${formatAval(x.aval)}, not ${Array.isArray(starts) ? starts.length : describe(starts)}`,
  )
  return starts.map((start, axis) => {
    const what = `start ${axis}`
    if (typeof start === 'number') return index(name, what, start < 0 ? start + x.shape[axis] : start)
    const at = index(name, what, start)
    return ops.select(ops.lt(at, 0), ops.add(at, x.shape[axis]), at)
  })
}

/**
 * A window of the given sizes. A start is an integer scalar for each axis; negative ones count from the end. A window
 * that would reach beyond the array is moved so that it fits.
 */
export function dynamicSlice(x: TensorLike, starts: readonly TensorLike[], sizes: readonly number[]): Tensor {
  const v = operand('dynamicSlice', 'x', x)
  return new Tensor(ops.dynamicSlice(v, startsOf('dynamicSlice', v, starts), whole('dynamicSlice', 'the sizes', sizes)))
}

/** x with the window of the shape of `update` replaced by it; starts as in `dynamicSlice`. */
export function dynamicUpdateSlice(x: TensorLike, update: TensorLike, starts: readonly TensorLike[]): Tensor {
  const v = operand('dynamicUpdateSlice', 'x', x)
  const u = update instanceof Tensor ? update.value : valueOf(update, 'lax.dynamicUpdateSlice: the update', v.dtype)
  return new Tensor(ops.dynamicUpdateSlice(v, u, startsOf('dynamicUpdateSlice', v, starts)))
}
