/** Element-wise functions. */
import { isFloat } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { broadcastShapes, stretch } from '../values.js'
import { commonDtype, lift, truth } from './operands.js'

const floating = (dtype: DType): DType => (isFloat(dtype) ? dtype : 'float32')

/** Lifts a function of values of one shape and dtype: operands are converted and broadcast. `float`: integers become float32. */
const binary =
  (f: (x: Value, y: Value) => Value, float = false) =>
  (x: TensorLike, y: TensorLike): Tensor => {
    const common = commonDtype(x, y)
    const dtype = float ? floating(common) : common
    const [a, b] = [lift(x, dtype), lift(y, dtype)]
    const shape = broadcastShapes(a.shape, b.shape)
    return new Tensor(f(stretch(a, shape), stretch(b, shape)))
  }

const unary =
  (f: (x: Value) => Value, float: boolean) =>
  (x: Tensor): Tensor =>
    new Tensor(f(lift(x, float ? floating(x.dtype) : x.dtype)))

export const add = binary(ops.add),
  subtract = binary(ops.sub),
  multiply = binary(ops.mul)
/** True division: integers are converted to float32. */
export const divide = binary(ops.div, true)
export const maximum = binary(ops.max),
  minimum = binary(ops.min)
/** x to the power y; integers are converted to float32. */
export const power = binary(ops.pow, true)
/** The angle of the point (y, x): atan2(y, x). */
export const atan2 = binary(ops.atan2, true)

const differ = (x: Value, y: Value): Value => ops.ne(ops.lt(x, 0), ops.lt(y, 0))

/** Division rounded down, as Python's //. */
export const floorDivide = binary((x, y) => {
  if (isFloat(x.dtype)) return ops.floor(ops.div(x, y))
  const inexact = ops.ne(ops.rem(x, y), 0)
  const quotient = ops.div(x, y) // rounded towards 0
  return ops.select(ops.and(inexact, differ(x, y)), ops.sub(quotient, 1), quotient)
})

/** The remainder with the sign of the divisor, as Python's %. */
export const remainder = binary((x, y) => {
  const rest = ops.rem(x, y) // with the sign of x
  return ops.select(ops.and(ops.ne(rest, 0), differ(rest, y)), ops.add(rest, y), rest)
})

export const equal = binary(ops.eq),
  notEqual = binary(ops.ne),
  less = binary(ops.lt),
  lessEqual = binary(ops.le)
export const greater = binary(ops.gt),
  greaterEqual = binary(ops.ge)

const logical =
  (f: (x: Value, y: Value) => Value) =>
  (x: TensorLike, y: TensorLike): Tensor => {
    const [a, b] = [x, y].map(v => truth(v instanceof Tensor ? v : new Tensor(lift(v, commonDtype(v)))))
    const shape = broadcastShapes(a.shape, b.shape)
    return new Tensor(f(stretch(a, shape), stretch(b, shape)))
  }

/** These take any number for true but 0, and give bool. */
export const logicalAnd = logical(ops.and),
  logicalOr = logical(ops.or),
  logicalXor = logical(ops.xor)
export const logicalNot = (x: Tensor): Tensor => new Tensor(ops.not(truth(x)))

export const bitwiseAnd = binary(ops.and),
  bitwiseOr = binary(ops.or),
  bitwiseXor = binary(ops.xor),
  bitwiseNot = unary(ops.not, false)
export const leftShift = binary(ops.shiftLeft)
/** Keeps the sign of signed integers. */
export const rightShift = binary((x, y) =>
  x.dtype.startsWith('u') ? ops.shiftRightLogical(x, y) : ops.shiftRightArithmetic(x, y),
)

export const negative = unary(ops.neg, false),
  abs = unary(ops.abs, false),
  sign = unary(ops.sign, false)
export const floor = unary(ops.floor, true),
  ceil = unary(ops.ceil, true)
/** Rounds half to even. */
export const round = unary(ops.round, true)
/** Rounds towards 0. */
export const trunc = unary(x => ops.select(ops.lt(x, 0), ops.ceil(x), ops.floor(x)), true)
export const exp = unary(ops.exp, true),
  expm1 = unary(ops.expm1, true),
  log = unary(ops.log, true),
  log1p = unary(ops.log1p, true)
export const exp2 = unary(x => ops.exp(ops.mul(x, Math.LN2)), true)
export const log2 = unary(x => ops.div(ops.log(x), Math.LN2), true),
  log10 = unary(x => ops.div(ops.log(x), Math.LN10), true)
export const sqrt = unary(ops.sqrt, true),
  sin = unary(ops.sin, true),
  cos = unary(ops.cos, true)
/** 1 / sqrt(x). */
export const rsqrt = unary(ops.rsqrt, true)
export const tan = unary(x => ops.div(ops.sin(x), ops.cos(x)), true),
  tanh = unary(ops.tanh, true)
/** 1 / (1 + exp(-x)). */
export const sigmoid = unary(ops.logistic, true)
export const erf = unary(ops.erf, true),
  erfInv = unary(ops.erfInv, true)
/** 1 / x; integers are converted to float32. */
export const reciprocal = unary(x => ops.div(1, x), true)
export const square = (x: Tensor): Tensor => multiply(x, x)

export const isFinite = unary(ops.isFinite, true)
export const isNan = unary(x => ops.ne(x, x), true)
export const isInf = unary(x => ops.eq(ops.abs(x), Infinity), true)

/** x kept within [low, high]; null leaves a side open. */
export function clip(x: Tensor, low: TensorLike | null, high: TensorLike | null): Tensor {
  const raised = low === null ? x : maximum(x, low)
  return high === null ? raised : minimum(raised, high)
}

/** log(exp(x) + exp(y)), without overflow. */
export const logaddexp = binary((x, y) => {
  const difference = ops.sub(x, y)
  const gap = ops.select(ops.eq(difference, difference), difference, 0) // two equal infinities differ by NaN
  return ops.add(ops.max(x, y), ops.log1p(ops.exp(ops.neg(ops.abs(gap)))))
}, true)

/** condition ? x : y, element by element. */
export function where(condition: Tensor, x: TensorLike, y: TensorLike): Tensor {
  const dtype = commonDtype(x, y)
  const [a, b] = [lift(x, dtype), lift(y, dtype)]
  const shape = broadcastShapes(condition.shape, a.shape, b.shape)
  return new Tensor(ops.select(stretch(truth(condition), shape), stretch(a, shape), stretch(b, shape)))
}

/** The array in another dtype. Floats are cut off after the point on the way to integers. */
export const astype = (x: Tensor, dtype: DType): Tensor => new Tensor(ops.convertElementType(x.value, dtype))
