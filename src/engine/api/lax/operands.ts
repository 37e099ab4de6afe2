/**
 * Operands of lax functions: arrays of one shape and one dtype, or bare numbers, which take both from the array beside
 * them.
 */
import { isInteger } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { formatAval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { valueOf } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'

/** The operand `what` of `lax.name`. A bare number is float32, a boolean bool, a bigint int64. */
export const operand = (name: string, what: string, x: TensorLike): Value => valueOf(x, `lax.${name}: ${what}`)

/** Two operands; a bare number is broadcast to the shape and takes the dtype of the other. */
export function pair(
  name: string,
  [x, y]: readonly [TensorLike, TensorLike],
  [first, second] = ['x', 'y'],
): [Value, Value] {
  const like = (a: TensorLike, what: string, b: TensorLike): Value => {
    if (a instanceof Tensor || !(b instanceof Tensor)) return operand(name, what, a)
    return ops.broadcastInDim(valueOf(a, `lax.${name}: ${what}`, b.dtype), b.shape, [])
  }
  return [like(x, first, y), like(y, second, x)]
}

/** A function of one operand. */
export const unary =
  (name: string, f: (x: Value) => Value) =>
  (x: TensorLike): Tensor =>
    new Tensor(f(operand(name, 'x', x)))

/** A function of two operands. */
export const binary =
  (name: string, f: (x: Value, y: Value) => Value) =>
  (x: TensorLike, y: TensorLike): Tensor =>
    new Tensor(f(...pair(name, [x, y])))

/** Several arrays. */
export function operands(name: string, xs: readonly TensorLike[]): Value[] {
  check(Array.isArray(xs) && xs.length > 0, `lax.${name}: give a list of one array or more`)
  return xs.map((x, i) => operand(name, `array ${i}`, x))
}

/** An integer scalar as int32; a bare number is one. */
export function index(name: string, what: string, x: TensorLike): Value {
  const value = x instanceof Tensor ? x.value : valueOf(x, `lax.${name}: ${what}`, 'int32')
  check(
    isInteger(value.dtype) && value.ndim === 0,
    () => `lax.${name}: ${what} must be an integer scalar, not ${formatAval(value.aval)}`,
  )
  if (value.dtype !== 'int64' && value.dtype !== 'uint32') return ops.convertElementType(value, 'int32')
  // No array has 2^31 elements: a larger index is out of bounds, and must not wrap around.
  const capped = ops.min(value, 2 ** 31 - 1)
  return ops.convertElementType(value.dtype === 'int64' ? ops.max(capped, -(2 ** 31)) : capped, 'int32')
}
