/** Signs of values, that of 0 too. */
import { isFloat } from '../../../base/dtypes.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'

/** Whether the sign bit is set: x < 0, or x is -0. The sign of NaN is not seen. */
export const isNegative = (x: Value): Value => {
  if (!isFloat(x.dtype)) return ops.lt(x, 0)
  return ops.or(ops.lt(x, 0), ops.and(ops.eq(x, 0), ops.lt(ops.div(1, x), 0)))
}

/** `size`, which is not negative, with the sign of another value. */
export const withSign = (size: Value, sign: Value): Value => ops.select(isNegative(sign), ops.neg(size), size)

/** f as an odd function, given for 0 and above: f(-x) = -f(x). Keeps -0; the derivative at 0 is that of f. */
export const odd =
  (f: (size: Value) => Value) =>
  (x: Value): Value => {
    const isBelow = isNegative(x)
    const result = f(ops.select(isBelow, ops.neg(x), x))
    return ops.select(isBelow, ops.neg(result), result)
  }
