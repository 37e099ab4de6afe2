/** Signs of values, including the sign of zero. */
import { isFloat } from '../../../base/dtypes.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'

/** Whether x < 0 or x is -0. false for NaN. */
export const isNegative = (x: Value): Value => {
  if (!isFloat(x.dtype)) return ops.lt(x, 0)
  return ops.or(ops.lt(x, 0), ops.and(ops.eq(x, 0), ops.lt(ops.div(1, x), 0)))
}

/**
 * -1 where the condition holds, and 1 elsewhere: a factor, since a `select` of -0 may lose its sign (see
 * primitives.ts).
 */
export const factorOf = (isNegative: Value, like: Value): Value =>
  ops.select(isNegative, ops.full(like.shape, -1, like.dtype), 1)

/** `size`, which is not negative, with the sign of another value. */
export const withSign = (size: Value, sign: Value): Value => ops.mul(size, factorOf(isNegative(sign), size))

/**
 * x, whose elements other than 0 have the sign of another value, with zeros that have it too. The derivative is that of
 * x, at 0 as well.
 */
export const withSignOfZero = (x: Value, sign: Value): Value => {
  const factor = factorOf(isNegative(sign), x)
  // -0 + 0 is 0. This 0 is not a constant, because `simplify` takes x + 0 for x.
  const zero = ops.convertElementType(ops.ne(x, x), x.dtype)
  return ops.mul(ops.add(ops.mul(x, factor), zero), factor)
}

/** f as an odd function, given for 0 and above: f(-x) = -f(x). Keeps -0; the derivative at 0 is that of f. */
export const odd =
  (f: (size: Value) => Value) =>
  (x: Value): Value => {
    const isBelow = isNegative(x)
    const result = f(ops.select(isBelow, ops.neg(x), x))
    return ops.mul(result, factorOf(isBelow, result))
  }
