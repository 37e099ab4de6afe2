/**
 * Arithmetic, element by element.
 *
 * - sums and products: add, subtract, multiply, divide, negative, positive, reciprocal, square, power, floatPower
 * - integer division: floorDivide, remainder (mod), fmod, divmod, gcd, lcm
 * - magnitudes and signs: abs, fabs, sign, signbit, copysign, heaviside
 * - bounds: maximum, minimum, fmax, fmin, clip
 *
 * Operands broadcast and are converted to their common dtype, which is also the result's dtype unless a function says
 * otherwise.
 */
import { dtypes, isFloat, isInteger } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { whileLoop } from '../lax/control-flow.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { asTensor, binary, commonDtype, floatBinary, floatUnary, lift, numericBinary, unary } from './operands.js'
import { factorOf, isNegative, withSign, withSignOfZero } from './signs.js'
import type { Binary, Unary } from './operands.js'

/** The logical operation for bool operands, the arithmetic one for numbers. */
const orLogical = (numeric: (x: Value, y: Value) => Value, logical: (x: Value, y: Value) => Value): Binary =>
  binary((x, y) => (x.dtype === 'bool' ? logical : numeric)(x, y))

/** x + y. Integers wrap around on overflow. bool: logical or. */
export const add = orLogical(ops.add, ops.or)

/** x - y. Integers wrap around. Throws a ShapeError for bool, as NumPy does: use `logicalXor`. */
export const subtract = binary(ops.sub)

/** x * y. Integers wrap around. bool: logical and. */
export const multiply = orLogical(ops.mul, ops.and)

/** x / y, never rounded to whole numbers: integers and bool become float32. x / 0 is an infinity, 0 / 0 NaN. */
export const divide = floatBinary(ops.div)

/** -x. Integers wrap around: the negative of int32's least value is itself. Throws a ShapeError for bool. */
export const negative = unary(ops.neg)

/** x itself. */
export const positive = unary(x => x)

/** 1 / x. Integers become float32 (in NumPy they stay integers, which gives 0). */
export const reciprocal = floatUnary(x => ops.div(1, x))

/** x * x. */
export const square: Unary = (x: TensorLike) => {
  const operand = asTensor(x)
  return multiply(operand, operand)
}

/**
 * x to the power y. Integers stay integers and wrap around; bool becomes int32. An integer to the power of a negative
 * element is rounded towards 0: it is 0 unless x is 1 or -1. Throws a ShapeError for integers to the power of a
 * negative number, as NumPy and JAX do.
 */
export const power: Binary = (x: TensorLike, y: TensorLike) => {
  const common = commonDtype(x, y)
  if (isFloat(common)) return floatPower(x, y)
  const dtype = common === 'bool' ? 'int32' : common
  if (typeof y !== 'number' && typeof y !== 'bigint') return numericBinary(integerPower)(x, y)
  check(y >= 0, () => `integers cannot be raised to the negative power ${y}: convert them first (np.astype)`)
  const base = lift(x, dtype)
  let result: Value | undefined
  let factor = base
  for (let rest = BigInt(y); rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = result === undefined ? factor : ops.mul(result, factor)
    if (rest > 1n) factor = ops.mul(factor, factor)
  }
  return new Tensor(result ?? ops.full(base.shape, 1, dtype))
}

/** x to the power y for integer values, by repeated squaring: one step for each bit of the exponent. */
function integerPower(x: Value, y: Value): Value {
  const isSigned = !y.dtype.startsWith('u')
  const bits = 8 * dtypes[y.dtype].bytes - (isSigned ? 1 : 0)
  const one = ops.full(x.shape, 1, x.dtype)
  const isOdd = (e: Value): Value => ops.ne(ops.and(e, one), 0)
  let result = one
  for (let [bit, factor, rest] = [0, x, y]; bit < bits; bit++) {
    result = ops.select(isOdd(rest), ops.mul(result, factor), result)
    factor = ops.mul(factor, factor)
    rest = ops.shiftRightLogical(rest, one)
  }
  if (!isSigned) return result
  const ofMinusOne = ops.select(isOdd(y), x, one)
  const isUnit = ops.or(ops.eq(x, 1), ops.eq(x, -1))
  return ops.select(ops.lt(y, 0), ops.select(isUnit, ofMinusOne, 0), result)
}

/** x to the power y in floating point: integers and bool become float32. */
export const floatPower: Binary = (x: TensorLike, y: TensorLike) =>
  y === 2 || y === 3 ? floatUnary(v => ops.pow(v, y))(x) : floatBinary(ops.pow)(x, y)

const differInSign = (x: Value, y: Value): Value => ops.ne(ops.lt(x, 0), ops.lt(y, 0))

/**
 * The quotient of integers rounded towards 0, and the remainder. Both are 0 where y is 0. The divisors 0 and -1 are
 * replaced before the division: dividing by 0, or the least integer by -1, would crash the process.
 */
function truncatedDivision(x: Value, y: Value): { quotient: Value; rest: Value } {
  const zero = ops.zerosLike(x)
  const isZero = ops.eq(y, 0)
  if (x.dtype.startsWith('u')) {
    const divisor = ops.select(isZero, 1, y)
    return {
      quotient: ops.select(isZero, zero, ops.div(x, divisor)),
      rest: ops.select(isZero, zero, ops.rem(x, divisor)),
    }
  }
  const isMinusOne = ops.eq(y, -1)
  const isSpecial = ops.or(isZero, isMinusOne)
  const divisor = ops.select(isSpecial, 1, y)
  return {
    quotient: ops.select(isZero, zero, ops.select(isMinusOne, ops.neg(x), ops.div(x, divisor))),
    rest: ops.select(isSpecial, zero, ops.rem(x, divisor)),
  }
}

function floorQuotient(x: Value, y: Value): Value {
  if (isInteger(x.dtype)) {
    const { quotient, rest } = truncatedDivision(x, y)
    return ops.select(ops.and(ops.ne(rest, 0), differInSign(x, y)), ops.sub(quotient, 1), quotient)
  }
  // Computed from the exact remainder, as in NumPy: x / y may round up to a whole number (1 / 0.1 is 10, but 1 // 0.1
  // is 9).
  const rest = ops.rem(x, y)
  const quotient = ops.div(ops.sub(x, rest), y)
  const isBelow = ops.and(ops.ne(rest, 0), differInSign(rest, y))
  const exact = ops.round(ops.select(isBelow, ops.sub(quotient, 1), quotient))
  const direct = ops.stopGradient(ops.div(x, y)) // has the result's sign, that of 0 too, and is the result where y is 0
  return withSign(ops.select(ops.eq(y, 0), ops.abs(direct), ops.abs(exact)), direct)
}

function floorRemainder(x: Value, y: Value): Value {
  const rest = isInteger(x.dtype) ? truncatedDivision(x, y).rest : ops.rem(x, y)
  const isOther = ops.and(ops.ne(rest, 0), differInSign(rest, y))
  const modulus = ops.select(isOther, ops.add(rest, y), rest)
  return isFloat(x.dtype) ? withSignOfZero(modulus, y) : modulus
}

/**
 * floor(x / y), Python's x // y. Floats follow NumPy: the result is exact (1 // 0.1 is 9), x // 0 is x / 0, and 1 //
 * -Infinity is -1. Integers: x // 0 is 0, and the least integer // -1 wraps around to itself. bool becomes int32. The
 * derivative is 0.
 */
export const floorDivide = numericBinary(floorQuotient)

/**
 * The remainder with the sign of the divisor, Python's x % y: x - y * floorDivide(x, y). Floats follow NumPy: x % 0 is
 * NaN, 1 % -Infinity is -Infinity. Integers: x % 0 is 0. bool becomes int32.
 */
export const remainder = numericBinary(floorRemainder)

/** Another name of `remainder`. */
export const mod = remainder

/**
 * The remainder of x / y with the sign of x, C's fmod. Floats: exact; NaN where y is 0. Integers: 0 where y is 0. bool
 * becomes int32.
 */
export const fmod = numericBinary((x, y) => (isFloat(x.dtype) ? ops.rem(x, y) : truncatedDivision(x, y).rest))

/** `floorDivide` and `remainder`, in that order. */
export const divmod = (x: TensorLike, y: TensorLike): [quotient: Tensor, remainder: Tensor] => [
  floorDivide(x, y),
  remainder(x, y),
]

const integers = (name: string, x: TensorLike, y: TensorLike): void => {
  const dtype = commonDtype(x, y)
  check(isInteger(dtype), () => `${name} is defined for integers, not for ${dtype}`)
}

/** The greatest common divisor of integers, 0 or more; gcd(0, 0) is 0. Throws a ShapeError for other dtypes. */
export const gcd: Binary = (x: TensorLike, y: TensorLike) => {
  integers('gcd', x, y)
  return binary((a, b) => {
    const [divisor] = whileLoop(
      ([, rest]) => new Tensor(ops.reduceOr(ops.ne(rest.value, 0), ops.range(rest.ndim))),
      ([p, q]) => {
        const isDone = ops.eq(q.value, 0)
        const { rest } = truncatedDivision(p.value, q.value)
        return [new Tensor(ops.select(isDone, p.value, q.value)), new Tensor(rest)]
      },
      [new Tensor(sizeOf(a)), new Tensor(sizeOf(b))],
    )
    return divisor.value
  })(x, y)
}

/**
 * The least common multiple of integers, 0 or more; 0 where one is 0. Wraps around. Throws a ShapeError for other
 * dtypes.
 */
export const lcm: Binary = (x: TensorLike, y: TensorLike) => {
  integers('lcm', x, y)
  const [a, b] = [abs(x), abs(y)]
  return abs(multiply(a, floorDivide(b, gcd(a, b))))
}

const sizeOf = (x: Value): Value => (x.dtype === 'bool' || x.dtype.startsWith('u') ? x : ops.abs(x))

/**
 * |x|. The least integer of a signed dtype wraps around to itself. bool and unsigned integers are returned unchanged.
 */
export const abs = unary(sizeOf)

/** As `abs`; integers and bool become float32. */
export const fabs = floatUnary(ops.abs)

/** -1, 0 or 1, as x is below, at or above 0, in x's dtype; NaN stays NaN. Throws a ShapeError for bool. */
export const sign = unary(ops.sign)

/** Whether x is negative or -0: bool. false for NaN (NumPy reads the sign bit of a NaN). */
export const signbit = floatUnary(isNegative)

/**
 * |x| with the sign of y, where -0 counts as negative. Integers become float32. A NaN y counts as positive, unlike in
 * NumPy.
 */
export const copysign = floatBinary((x, y) => withSign(ops.abs(x), y))

/** 0 where x < 0, 1 where x > 0, and y where x is 0; NaN where x is. Integers become float32. */
export const heaviside = floatBinary((x, y) => {
  const factor = factorOf(ops.and(ops.eq(x, 0), isNegative(y)), y)
  const step = ops.select(ops.lt(x, 0), ops.zerosLike(x), ops.select(ops.gt(x, 0), 1, ops.mul(y, factor)))
  return ops.mul(ops.select(ops.eq(x, x), step, x), factor)
})

/** The greater of x and y; NaN where one is. bool: x or y. Equal operands share the gradient. */
export const maximum = orLogical(ops.max, ops.or)

/** The lesser of x and y; NaN where one is. bool: x and y. Equal operands share the gradient. */
export const minimum = orLogical(ops.min, ops.and)

/** `choose(x, y)`, but the other operand where one of them is NaN. */
const orOther =
  (choose: (x: Value, y: Value) => Value) =>
  (x: Value, y: Value): Value => {
    if (!isFloat(x.dtype)) return choose(x, y)
    return ops.select(ops.ne(x, x), y, ops.select(ops.ne(y, y), x, choose(x, y)))
  }

/** The greater of x and y; where one of them is NaN, the other one. bool: x or y. */
export const fmax = orLogical(orOther(ops.max), ops.or)

/** The lesser of x and y; where one of them is NaN, the other one. bool: x and y. */
export const fmin = orLogical(orOther(ops.min), ops.and)

/** x limited to [low, high]: `minimum(maximum(x, low), high)`. A null bound does not limit. The bounds broadcast. */
export function clip(x: TensorLike, low: TensorLike | null = null, high: TensorLike | null = null): Tensor {
  const raised = low === null ? asTensor(x) : maximum(x, low)
  return high === null ? raised : minimum(raised, high)
}
