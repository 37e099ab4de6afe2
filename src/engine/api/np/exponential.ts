/**
 * Exponentials, logarithms, roots and the functions made of them, element by element.
 *
 * - exponentials: exp, exp2, expm1, ldexp, sigmoid, logaddexp, logaddexp2
 * - logarithms: log, log2, log10, log1p
 * - roots: sqrt, rsqrt, cbrt, hypot
 * - of the normal distribution: erf, erfInv
 *
 * Integers and bool become float32; the result is a float of the operand's dtype.
 */
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import type { TensorLike } from '../tensor.js'
import { divide, multiply } from './arithmetic.js'
import { floatBinary, floatUnary } from './operands.js'
import { odd } from './signs.js'
import type { Binary, Unary } from './operands.js'

/** e to the power x. */
export const exp = floatUnary(ops.exp)

/** 2 to the power x. Exact for whole numbers. */
export const exp2 = floatUnary(x => ops.pow(ops.full(x.shape, 2, x.dtype), x))

/** x * 2^n, for whole numbers n of any dtype. */
export const ldexp: Binary = (x: TensorLike, n: TensorLike) => multiply(x, exp2(n))

/** exp(x) - 1, without loss of digits near 0. */
export const expm1 = floatUnary(ops.expm1)

/** The logistic function 1 / (1 + exp(-x)). */
export const sigmoid = floatUnary(ops.logistic)

/** The natural logarithm; -Infinity at 0, NaN below. */
export const log = floatUnary(ops.log)

/**
 * The logarithm to a base, rounded to the exact result where x is an integer power of the base. The rounding has no
 * derivative.
 */
const logarithm = (base: number): Unary =>
  floatUnary(x => {
    const result = ops.div(ops.log(x), Math.log(base))
    const whole = ops.round(result)
    const isPower = ops.and(ops.eq(ops.pow(ops.full(x.shape, base, x.dtype), whole), x), ops.isFinite(result))
    return ops.add(result, ops.stopGradient(ops.select(isPower, ops.sub(whole, result), 0)))
  })

/** The logarithm to base 2; -Infinity at 0, NaN below. Exact for powers of two. */
export const log2 = logarithm(2)

/** The logarithm to base 10; -Infinity at 0, NaN below. Exact for powers of ten that the dtype holds. */
export const log10 = logarithm(10)

/** log(1 + x), without loss of digits near 0; -Infinity at -1, NaN below. */
export const log1p = floatUnary(ops.log1p)

/** The square root; NaN below 0. */
export const sqrt = floatUnary(ops.sqrt)

/** 1 / sqrt(x): Infinity at 0, NaN below. */
export const rsqrt = floatUnary(ops.rsqrt)

/** The cube root, of negative numbers too; keeps infinities and -0. */
export const cbrt = floatUnary(
  odd(size => {
    const guess = ops.pow(size, ops.full(size.shape, 1 / 3, size.dtype))
    const isPlain = ops.and(ops.gt(size, 0), ops.isFinite(size))
    const [a, y] = [ops.select(isPlain, size, 1), ops.select(isPlain, guess, 1)]
    const refined = ops.sub(y, ops.div(ops.sub(y, ops.div(a, ops.mul(y, y))), 3)) // a step of Newton's method
    return ops.select(isPlain, refined, guess)
  }),
)

/** sqrt(x² + y²), without overflow of the squares. Infinity where x or y is infinite, even if the other one is NaN. */
export const hypot = floatBinary((x, y) => {
  const [a, b] = [ops.abs(x), ops.abs(y)]
  const [high, low] = [ops.max(a, b), ops.min(a, b)]
  const isZero = ops.eq(high, 0)
  const ratio = ops.div(low, ops.select(isZero, 1, high))
  const length = ops.mul(high, ops.sqrt(ops.add(ops.mul(ratio, ratio), 1)))
  const isInfinite = ops.or(ops.eq(a, Infinity), ops.eq(b, Infinity))
  return ops.select(isInfinite, Infinity, ops.select(isZero, high, length))
})

/** The error function, 2 / sqrt(pi) times the integral of exp(-t²) from 0 to x. */
export const erf = floatUnary(ops.erf)

/** The inverse of `erf` on (-1, 1): an infinity at -1 and 1, NaN outside. */
export const erfInv = floatUnary(ops.erfInv)

function logOfSum(x: Value, y: Value): Value {
  const greatest = ops.max(x, y)
  const isFinite = ops.isFinite(greatest)
  const shift = ops.stopGradient(ops.select(isFinite, greatest, 0))
  const [a, b] = [x, y].map(v => ops.sub(v, shift))
  // exp(a) + exp(b) - 1, where the greater of the two is exp(0): both branches are the same function of a and b, so all
  // derivatives are right where they are equal.
  const sum = ops.select(ops.ge(x, y), ops.add(ops.expm1(a), ops.exp(b)), ops.add(ops.exp(a), ops.expm1(b)))
  const result = ops.add(shift, ops.log1p(ops.select(isFinite, sum, 0)))
  return ops.select(isFinite, result, greatest)
}

/**
 * log(exp(x) + exp(y)), without overflow and without loss of digits where one is much less. -Infinity counts as the
 * logarithm of 0. Its derivatives of every order are right where x = y.
 */
export const logaddexp = floatBinary(logOfSum)

/** log2(2^x + 2^y): `logaddexp` to base 2. */
export const logaddexp2: Binary = (x: TensorLike, y: TensorLike) =>
  divide(logaddexp(multiply(toFloat(x), Math.LN2), multiply(toFloat(y), Math.LN2)), Math.LN2)

const toFloat = floatUnary(x => x)
