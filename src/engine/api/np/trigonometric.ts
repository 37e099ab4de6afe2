/**
 * Trigonometric and hyperbolic functions and their inverses, element by element.
 *
 * - of angles in radians: sin, cos, tan, sinc
 * - angles: arcsin, arccos, arctan, arctan2 (atan2), deg2rad (radians), rad2deg (degrees)
 * - hyperbolic: sinh, cosh, tanh, arcsinh, arccosh, arctanh
 *
 * Integers and bool become float32; the result is a float of the operand's dtype.
 */
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { floatBinary, floatUnary } from './operands.js'
import { odd } from './signs.js'

/** The sine of an angle; NaN at the infinities. */
export const sin = floatUnary(ops.sin)

/** The cosine of an angle; NaN at the infinities. */
export const cos = floatUnary(ops.cos)

/** The tangent of an angle: sin(x) / cos(x). */
export const tan = floatUnary(x => ops.div(ops.sin(x), ops.cos(x)))

/** sin(pi x) / (pi x), and 1 at 0. The first two derivatives at 0 are right. */
export const sinc = floatUnary(x => {
  const angle = ops.mul(x, Math.PI)
  const isZero = ops.eq(x, 0)
  const safe = ops.select(isZero, 1, angle)
  const nearZero = ops.sub(1, ops.div(ops.mul(angle, angle), 6))
  return ops.select(isZero, nearZero, ops.div(ops.sin(safe), safe))
})

const one = (x: Value): Value => ops.full(x.shape, 1, x.dtype)
/**
 * sqrt(1 - x²), without loss of digits near 1. Two roots, because at 1 the gradient of one root of the product is NaN.
 */
const otherSide = (x: Value): Value => ops.mul(ops.sqrt(ops.sub(1, x)), ops.sqrt(ops.add(x, 1)))

/** The angle in [-pi/2, pi/2] whose sine is x; NaN outside [-1, 1]. */
export const arcsin = floatUnary(x => ops.atan2(x, otherSide(x)))

/** The angle in [0, pi] whose cosine is x; NaN outside [-1, 1]. */
export const arccos = floatUnary(x => ops.atan2(otherSide(x), x))

/** The angle in (-pi/2, pi/2) whose tangent is x. */
export const arctan = floatUnary(x => ops.atan2(x, one(x)))

/** arctan2(y, x): the angle in [-pi, pi] of the point with coordinates (x, y). Signs of zero count, as in NumPy. */
export const arctan2 = floatBinary(ops.atan2)

/** Another name of `arctan2`. */
export const atan2 = arctan2

/** Degrees as radians: x pi / 180. */
export const deg2rad = floatUnary(x => ops.mul(x, Math.PI / 180))

/** Another name of `deg2rad`. */
export const radians = deg2rad

/** Radians as degrees: 180 x / pi. */
export const rad2deg = floatUnary(x => ops.mul(x, 180 / Math.PI))

/** Another name of `rad2deg`. */
export const degrees = rad2deg

/**
 * Below this magnitude, sinh and cosh compute both exp(x) and exp(-x). Above it exp(-x) is negligible in float32, and
 * exp(x) alone is computed in a way that overflows only where the result does.
 */
const HYPERBOLIC_LIMIT = 9

/** exp(x) / 2, which overflows only where the result does. */
const halfExp = (x: Value): Value => {
  const root = ops.exp(ops.mul(x, 0.5))
  return ops.mul(ops.mul(root, 0.5), root)
}

/** (exp(x) - exp(-x)) / 2, without loss of digits near 0. */
export const sinh = floatUnary(
  odd(size => {
    const isSmall = ops.lt(size, HYPERBOLIC_LIMIT)
    const u = ops.expm1(ops.select(isSmall, size, 0))
    return ops.select(isSmall, ops.mul(ops.add(u, ops.div(u, ops.add(u, 1))), 0.5), halfExp(size))
  }),
)

/** (exp(x) + exp(-x)) / 2. */
export const cosh = floatUnary(x => {
  const size = ops.abs(x)
  const isSmall = ops.lt(size, HYPERBOLIC_LIMIT)
  const u = ops.exp(ops.select(isSmall, x, 0))
  return ops.select(isSmall, ops.mul(ops.add(u, ops.div(1, u)), 0.5), halfExp(size))
})

/** sinh(x) / cosh(x). */
export const tanh = floatUnary(ops.tanh)

/** Above this size, the inverse hyperbolic functions are log(2 x). */
const INVERSE_LIMIT = 1e4

/** The number whose `sinh` is x: log(x + sqrt(x² + 1)), without loss of digits near 0 and without overflow. */
export const arcsinh = floatUnary(
  odd(size => {
    const isLarge = ops.gt(size, INVERSE_LIMIT)
    const isSmall = ops.le(size, 1)
    const a = ops.select(isSmall, size, 0)
    const small = ops.div(ops.mul(a, a), ops.add(ops.sqrt(ops.add(ops.mul(a, a), 1)), 1))
    const b = ops.div(1, ops.select(ops.or(isSmall, isLarge), 1, size))
    const middle = ops.div(ops.select(isLarge, 1, size), ops.add(ops.sqrt(ops.add(ops.mul(b, b), 1)), b))
    const result = ops.log1p(ops.add(ops.select(isLarge, 1, size), ops.select(isSmall, small, middle)))
    return ops.select(isLarge, ops.add(ops.log(ops.select(isLarge, size, 1)), Math.LN2), result)
  }),
)

/** The number, 0 or more, whose `cosh` is x: log(x + sqrt(x² - 1)); NaN below 1. */
export const arccosh = floatUnary(x => {
  const isLarge = ops.gt(x, INVERSE_LIMIT)
  const above = ops.sub(ops.select(isLarge, 1, x), 1)
  const root = ops.mul(ops.sqrt(above), ops.sqrt(ops.add(above, 2)))
  const small = ops.log1p(ops.add(above, root))
  const result = ops.select(isLarge, ops.add(ops.log(ops.select(isLarge, x, 1)), Math.LN2), small)
  return ops.select(ops.lt(x, 1), NaN, result)
})

/** The number whose `tanh` is x: log((1 + x) / (1 - x)) / 2; infinities at -1 and 1, NaN outside. */
export const arctanh = floatUnary(odd(size => ops.mul(ops.log1p(ops.div(ops.mul(size, 2), ops.sub(1, size))), 0.5)))
