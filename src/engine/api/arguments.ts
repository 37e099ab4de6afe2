/** Checks of what callers pass to array functions. */
import { check } from '../../base/errors.js'
import { isInteger, extremeOf } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import type { Value } from '../program/value.js'
import { describe, isScalar } from './describe.js'
import { commonDtypeOf, valueOf as nestedValue } from './nested.js'
import { Tensor } from './tensor.js'
import type { TensorLike } from './tensor.js'

/** Throws a ShapeError unless `f` is a function. `what`: the caller and the argument, as in "grad: the function". */
export function checkFunction(f: unknown, what: string): void {
  check(typeof f === 'function', () => `${what} must be a function, not ${describe(f)}`)
}

/**
 * An array's value; a bare number or nested lists as a value of `dtype`, which is float32 for numbers, bool for booleans and
 * int64 for bigints unless given. Throws a ShapeError that begins with `what` for anything else, and for a number that the
 * dtype cannot hold.
 */
export function valueOf(x: TensorLike, what: string, dtype?: DType): Value {
  if (x instanceof Tensor) return x.value
  check(isScalar(x) || Array.isArray(x), () => `${what} must be an array or a number, not ${describe(x)}`)
  const chosen = dtype ?? commonDtypeOf([x])
  if (isScalar(x)) checkHolds(chosen, x, what)
  return nestedValue(x, chosen)
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
