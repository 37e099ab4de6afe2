/** Special functions, composed of primitives. Floating point; 16-bit floats are computed in float32 and rounded. */
import { isFloat } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { customJvp } from '../composite.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { operand } from './operands.js'

/** A function computed in float32. With `derivative`, that is its derivative. */
const special =
  (name: string, f: (x: Value) => Value, derivative?: (x: Value) => Value) =>
  (x: TensorLike): Tensor => {
    const value = operand(name, 'x', x)
    check(isFloat(value.dtype), () => `lax.${name} needs floating point, not ${value.dtype}`)
    const wide = new Tensor(ops.convertElementType(value, 'float32'))
    const compute = (t: Tensor): Tensor => new Tensor(f(t.value))
    Object.defineProperty(compute, 'name', { value: name })
    const result = derivative
      ? customJvp(compute, ([t], [dt]) => [compute(t), new Tensor(ops.mul(dt.value, derivative(t.value)))])(wide)
      : compute(wide)
    return new Tensor(ops.convertElementType(result.value, value.dtype))
  }

/** c[0] x^n + ... + c[n]. */
const polynomial = (x: Value, coefficients: readonly number[]): Value =>
  coefficients.slice(1).reduce<Value>((y, c) => ops.add(ops.mul(y, x), c), ops.full(x.shape, coefficients[0], x.dtype))

// Cephes, ndtrf.c: erfc(x) = exp(-x^2) / x * p(1 / x^2), by one polynomial for 1 <= x < 2 and one above.
const erfcBelow2 = [
  2.326819970068386e-2, -1.387039388740657e-1, 3.687424674597105e-1, -5.824733027278666e-1, 6.210004621745983e-1,
  -4.944515323274145e-1, 3.404879937665872e-1, -2.741127028184656e-1, 5.638259427386472e-1,
]
const erfcAbove2 = [
  -1.047766399936249e1, 1.297719955372516e1, -7.495518717768503, 2.921019019210786, -1.0152652792027,
  4.218463358204948e-1, -2.820767439740514e-1, 5.641895067754075e-1,
]

/** The complementary error function, 1 - erf(x), exact to rounding also where that is tiny. */
export const erfc = special(
  'erfc',
  x => {
    const size = ops.abs(x)
    const isSmall = ops.lt(size, 1)
    const far = ops.select(isSmall, 1, size)
    const inverse = ops.div(1, ops.mul(far, far))
    const p = ops.select(ops.lt(far, 2), polynomial(inverse, erfcBelow2), polynomial(inverse, erfcAbove2))
    const tail = ops.mul(ops.div(ops.exp(ops.neg(ops.mul(far, far))), far), p)
    return ops.select(isSmall, ops.sub(1, ops.erf(x)), ops.select(ops.lt(x, 0), ops.sub(2, tail), tail))
  },
  x => ops.mul(ops.exp(ops.neg(ops.mul(x, x))), -2 / Math.sqrt(Math.PI)),
)

// Lanczos' approximation of the gamma function with g = 7 and 9 terms (Godfrey's coefficients), as XLA has it.
const lanczosG = 7
const lanczosBase = 0.9999999999998099
const lanczosTerms = [
  676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
]

/** For x >= 0.5: z = x - 1, otherwise the reflected point z = -x; and t = z + g + 0.5 with its logarithm. */
function lanczosPoint(x: Value): { isReflected: Value; z: Value; t: Value; logT: Value } {
  const isReflected = ops.lt(x, 0.5)
  const z = ops.select(isReflected, ops.neg(x), ops.sub(x, 1))
  const half = lanczosG + 0.5
  return { isReflected, z, t: ops.add(z, half), logT: ops.add(ops.log1p(ops.div(z, half)), Math.log(half)) }
}

const lanczosSum = (z: Value): Value =>
  lanczosTerms.reduce<Value>(
    (sum, c, i) => ops.add(sum, ops.div(c, ops.add(z, i + 1))),
    ops.full(z.shape, lanczosBase, z.dtype),
  )

/**
 * The derivative of `lgamma`: NaN at 0 and the negative whole numbers. By Lanczos' approximation and, below 0.5, the
 * reflection digamma(x) = digamma(1 - x) - pi / tan(pi x).
 */
function digammaOf(x: Value): Value {
  const { isReflected, z, t, logT } = lanczosPoint(x)
  const slope = lanczosTerms.reduce<Value>((sum, c, i) => {
    const d = ops.add(z, i + 1)
    return ops.sub(sum, ops.div(c, ops.mul(d, d)))
  }, ops.zerosLike(z))
  const y = ops.sub(ops.add(logT, ops.div(slope, lanczosSum(z))), ops.div(lanczosG, t))
  // Where nothing is reflected the angle is a constant: a division by sin(0) would make the derivative NaN.
  const angle = ops.select(isReflected, ops.mul(ops.sub(x, ops.floor(ops.add(x, 0.5))), Math.PI), Math.PI / 2)
  const reflected = ops.sub(y, ops.div(ops.mul(ops.cos(angle), Math.PI), ops.sin(angle)))
  const isPole = ops.and(ops.le(x, 0), ops.eq(x, ops.floor(x)))
  return ops.select(isPole, NaN, ops.select(isReflected, reflected, y))
}

/** The logarithm of |gamma(x)|; infinite at 0 and the negative whole numbers. Its derivative is `digamma`. */
export const lgamma = special(
  'lgamma',
  x => {
    const { isReflected, z, t, logT } = lanczosPoint(x)
    const logY = ops.add(
      ops.add(ops.mul(ops.sub(ops.add(z, 0.5), ops.div(t, logT)), logT), Math.log(2 * Math.PI) / 2),
      ops.log(lanczosSum(z)),
    )
    // gamma(x) gamma(1 - x) = pi / sin(pi x), whose sine is taken of the distance to the nearest whole number.
    const size = ops.abs(x)
    const fraction = ops.sub(size, ops.floor(size))
    const distance = ops.select(ops.gt(fraction, 0.5), ops.sub(1, fraction), fraction)
    const logSine = ops.log(ops.sin(ops.mul(distance, Math.PI)))
    const reflected = ops.sub(ops.sub(Math.log(Math.PI), logSine), logY)
    const low = ops.select(ops.isFinite(logSine), reflected, ops.neg(logSine))
    return ops.select(ops.eq(size, Infinity), Infinity, ops.select(isReflected, low, logY))
  },
  digammaOf,
)

/** The derivative of `lgamma`: NaN at 0 and the negative whole numbers. */
export const digamma = special('digamma', digammaOf)
