/** Checks of what callers pass to array functions: JavaScript checks no types, and a raw TypeError names no argument. */
import { check } from '../../base/errors.js'
import { isInteger, extremeOf } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import type { Value } from '../program/value.js'
import { defaultEngine } from './engine.js'
import { describe, isScalar } from './nested.js'
import { Tensor } from './tensor.js'
import type { TensorLike } from './tensor.js'
import { constant } from './values.js'

export { describe, isScalar }

/** Throws a ShapeError unless `f` is a function. `what`: the caller and the argument, as in "grad: the function". */
export function checkFunction(f: unknown, what: string): void {
  check(typeof f === 'function', () => `${what} must be a function, not ${describe(f)}`)
}

/** The dtype of a bare number that stands alone: float32; bool for a boolean, int64 for a bigint. */
export const scalarDType = (x: number | bigint | boolean): DType =>
  typeof x === 'boolean' ? 'bool' : typeof x === 'bigint' ? 'int64' : 'float32'

/**
 * An array's value, or a bare number as a scalar of `dtype`. Throws a ShapeError that begins with `what` for anything
 * else, and for a number that the dtype cannot hold.
 */
export function valueOf(x: TensorLike, what: string, dtype?: DType): Value {
  if (x instanceof Tensor) return x.value
  check(isScalar(x), () => `${what} must be an array or a number, not ${describe(x)}`)
  defaultEngine()
  const chosen = dtype ?? scalarDType(x)
  checkHolds(chosen, x, what)
  return constant(x, chosen)
}

/** Throws a ShapeError unless an integer dtype can hold the number: it would be cut off or wrap around silently. */
function checkHolds(dtype: DType, x: number | bigint | boolean, what: string): void {
  if (!isInteger(dtype) || typeof x === 'boolean') return
  check(
    (typeof x === 'bigint' || Number.isInteger(x)) &&
      x >= extremeOf(dtype, 'least') &&
      x <= extremeOf(dtype, 'greatest'),
    () => `${what}: ${dtype} cannot hold ${x}`,
  )
}
