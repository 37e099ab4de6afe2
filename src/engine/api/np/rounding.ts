/**
 * Rounding, element by element: round (around), rint, floor, ceil, trunc (fix), modf.
 *
 * Integers and bool are returned unchanged, in their own dtype (except by round with negative decimals). The derivative
 * is 0.
 */
import { isFloat, isInteger } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { constant, stretch } from '../values.js'
import { copysign, floorDivide, subtract } from './arithmetic.js'
import { asFloat, asTensor, unary } from './operands.js'
import type { Unary } from './operands.js'

const rounding = (f: (x: Value) => Value): Unary => unary(x => (isFloat(x.dtype) ? f(x) : x))

/** The greatest whole number that is not above x. */
export const floor = rounding(ops.floor)

/** The least whole number that is not below x. */
export const ceil = rounding(ops.ceil)

/** x rounded towards 0. Keeps -0. */
export const trunc: Unary = (x: TensorLike) => {
  const operand = asTensor(x)
  if (!isFloat(operand.dtype)) return operand
  return copysign(new Tensor(ops.floor(ops.abs(operand.value))), operand)
}

/** Another name of `trunc`. */
export const fix = trunc

/** The nearest whole number, halves to the even one. */
export const rint = rounding(ops.round)

/**
 * x rounded to a number of decimals, halves to the even digit: round(x 10^decimals) / 10^decimals. 16-bit floats are
 * computed in float32. Negative decimals round to tens, hundreds and so on, integers too (not in JAX).
 */
export function round(x: TensorLike, decimals = 0): Tensor {
  check(Number.isInteger(decimals), () => `round needs a whole number of decimals, not ${decimals}`)
  const operand = asTensor(x)
  const { value } = operand
  if (decimals === 0) return rint(operand)
  if (isFloat(value.dtype)) {
    const wide = ops.convertElementType(value, 'float32')
    const scale = 10 ** Math.abs(decimals)
    const [there, back] = decimals > 0 ? [ops.mul, ops.div] : [ops.div, ops.mul]
    return new Tensor(ops.convertElementType(back(ops.round(there(wide, scale)), scale), value.dtype))
  }
  return decimals > 0 || !isInteger(value.dtype) ? operand : roundInteger(operand, 10n ** BigInt(-decimals))
}

/**
 * An integer rounded to a multiple of `unit`, halves to the even multiple; 0 where the dtype does not hold the unit.
 */
function roundInteger(x: Tensor, unit: bigint): Tensor {
  const { dtype, shape } = x
  let u: Value
  try {
    u = stretch(constant(unit, dtype), shape)
  } catch {
    return new Tensor(ops.full(shape, 0, dtype))
  }
  const quotient = floorDivide(x, new Tensor(u)).value
  const rest = subtract(x, new Tensor(ops.mul(quotient, u))).value
  const missing = ops.sub(u, rest)
  const isOdd = ops.ne(ops.and(quotient, ops.full(shape, 1, dtype)), 0)
  const isUp = ops.or(ops.gt(rest, missing), ops.and(ops.eq(rest, missing), isOdd))
  return new Tensor(ops.mul(ops.add(quotient, ops.convertElementType(isUp, dtype)), u))
}

/** Another name of `round`. */
export const around = round

/** The fractional part and the whole part, both floats with the sign of x: `[fraction, whole]`. */
export function modf(x: TensorLike): [fraction: Tensor, whole: Tensor] {
  const operand = asFloat(x)
  const whole = trunc(operand)
  const rest = ops.sub(operand.value, whole.value) // NaN for infinities, whose fraction is 0
  const isInfinite = ops.eq(ops.abs(operand.value), Infinity)
  return [copysign(new Tensor(ops.select(isInfinite, 0, rest)), operand), whole]
}
