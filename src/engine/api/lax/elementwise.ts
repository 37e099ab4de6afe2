/**
 * Element-wise functions. Operands have one shape and one dtype, which the result has too unless said otherwise;
 * nothing is broadcast or promoted, except that a bare number takes the shape and dtype of the array beside it.
 */
import type { DType } from '../../../base/dtypes.js'
import * as ops from '../../program/ops.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { binary, operand, pair, unary } from './operands.js'

// Arithmetic of one operand

/** -x. */
export const neg = unary('neg', ops.neg)
/** |x|. Derivative 0 at 0. */
export const abs = unary('abs', ops.abs)
/** -1, 0 or 1; NaN for NaN. */
export const sign = unary('sign', ops.sign)
/** The greatest whole number not above x. */
export const floor = unary('floor', ops.floor)
/** The least whole number not below x. */
export const ceil = unary('ceil', ops.ceil)
/** The nearest whole number; halves go to the even one. (JAX's `lax.round` rounds them away from 0 unless told.) */
export const round = unary('round', ops.round)
/** x * x. */
export const square = unary('square', x => ops.mul(x, x))
/** 1 / x, floating point. */
export const reciprocal = unary('reciprocal', x => ops.div(1, x))

// Exponentials, roots, trigonometry: floating point

/** e^x. */
export const exp = unary('exp', ops.exp)
/** e^x - 1, exact to rounding near 0. */
export const expm1 = unary('expm1', ops.expm1)
/** Natural logarithm; -Infinity at 0, NaN below. */
export const log = unary('log', ops.log)
/** log(1 + x), exact to rounding near 0. */
export const log1p = unary('log1p', ops.log1p)
/** Square root; NaN below 0. */
export const sqrt = unary('sqrt', ops.sqrt)
/** 1 / sqrt(x). */
export const rsqrt = unary('rsqrt', ops.rsqrt)
/** Sine of an angle in radians. */
export const sin = unary('sin', ops.sin)
/** Cosine of an angle in radians. */
export const cos = unary('cos', ops.cos)
/** Hyperbolic tangent. */
export const tanh = unary('tanh', ops.tanh)
/** 1 / (1 + e^-x). */
export const logistic = unary('logistic', ops.logistic)
/** The error function, 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x. */
export const erf = unary('erf', ops.erf)
/** The inverse of `erf`; infinite at -1 and 1. */
export const erfInv = unary('erfInv', ops.erfInv)

// Bits and tests

/** Bitwise complement of integers, logical of bool. */
export const not = unary('not', ops.not)
/** Whether x is neither infinite nor NaN: bool. */
export const isFinite = unary('isFinite', ops.isFinite)

// Gradients and scheduling

/** x itself, whose derivative counts as 0. */
export const stopGradient = unary('stopGradient', ops.stopGradient)
/** x itself. The compiler merges no computations across it. */
export const optimizationBarrier = unary('optimizationBarrier', ops.optimizationBarrier)

// Arithmetic of two operands

/** x + y; logical or for bool is `or`. Integers wrap around. */
export const add = binary('add', ops.add)
/** x - y. Integers wrap around. */
export const sub = binary('sub', ops.sub)
/** x * y. Integers wrap around. */
export const mul = binary('mul', ops.mul)
/** x / y; integers are divided towards 0. */
export const div = binary('div', ops.div)
/** The remainder of x / y, with the sign of x. */
export const rem = binary('rem', ops.rem)
/** x to the power y, floating point. */
export const pow = (x: TensorLike, y: TensorLike): Tensor =>
  y === 2 || y === 3 ? unary('pow', v => ops.pow(v, y))(x) : binary('pow', ops.pow)(x, y)
/** The greater one. At equal operands each gets half of the gradient. */
export const max = binary('max', ops.max)
/** The lesser one. At equal operands each gets half of the gradient. */
export const min = binary('min', ops.min)
/** The angle of the point (y, x), in radians: atan2(y, x). */
export const atan2 = binary('atan2', ops.atan2)
/** Bitwise and of integers, logical of bool. */
export const and = binary('and', ops.and)
/** Bitwise or of integers, logical of bool. */
export const or = binary('or', ops.or)
/** Bitwise exclusive or of integers, logical of bool. */
export const xor = binary('xor', ops.xor)
/** x * 2^y, by moving bits; 0 for y of the width or more. */
export const shiftLeft = binary('shiftLeft', ops.shiftLeft)
/** The bits of x moved right by y, zeros moving in. */
export const shiftRightLogical = binary('shiftRightLogical', ops.shiftRightLogical)
/** The bits of x moved right by y, copies of the sign bit moving in. */
export const shiftRightArithmetic = binary('shiftRightArithmetic', ops.shiftRightArithmetic)

// Comparisons: bool; false for NaN, except `ne`

/** x = y. */
export const eq = binary('eq', ops.eq)
/** x != y. */
export const ne = binary('ne', ops.ne)
/** x < y. */
export const lt = binary('lt', ops.lt)
/** x <= y. */
export const le = binary('le', ops.le)
/** x > y. */
export const gt = binary('gt', ops.gt)
/** x >= y. */
export const ge = binary('ge', ops.ge)

// Choice and conversion

/** condition ? x : y for each element. The condition is bool, of their shape. */
export function select(condition: TensorLike, x: TensorLike, y: TensorLike): Tensor {
  const test = operand('select', 'the condition', condition)
  const [a, b] = pair('select', [x, y])
  const shape = [test, a, b].find(v => v.ndim > 0)?.shape ?? []
  const full = (v: typeof a, given: TensorLike): typeof a =>
    given instanceof Tensor ? v : ops.broadcastInDim(v, shape, [])
  return new Tensor(ops.select(full(test, condition), full(a, x), full(b, y)))
}

/**
 * x kept within [low, high]: low below, high above. Bounds are arrays like x, scalars or numbers. As in JAX the
 * gradient goes to x strictly within the bounds, to a bound where x is beyond it, and nowhere where they are equal.
 */
export function clamp(low: TensorLike, x: TensorLike, high: TensorLike): Tensor {
  const v = operand('clamp', 'x', x)
  const bound = (b: TensorLike, what: string): typeof v => {
    const value = b instanceof Tensor ? b.value : pair('clamp', [b, new Tensor(v)], [what, 'x'])[0]
    return value.ndim === 0 ? ops.broadcastInDim(value, v.shape, []) : value
  }
  const [least, most] = [bound(low, 'low'), bound(high, 'high')]
  const within = ops.and(ops.gt(v, least), ops.lt(v, most))
  const inside = ops.select(within, v, ops.stopGradient(v))
  return new Tensor(ops.select(ops.lt(v, least), least, ops.select(ops.gt(v, most), most, inside)))
}

/** x in another dtype. Fractions are cut off on the way to integers. */
export const convertElementType = (x: TensorLike, dtype: DType): Tensor =>
  new Tensor(ops.convertElementType(operand('convertElementType', 'x', x), dtype))
/** The bits of x, read as another dtype of the same width. */
export const bitcastConvertType = (x: TensorLike, dtype: DType): Tensor =>
  new Tensor(ops.bitcastConvertType(operand('bitcastConvertType', 'x', x), dtype))
