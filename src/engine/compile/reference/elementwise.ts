import { dtypes, isFloat, roundHalfEven } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import type { BinaryPrimitive, ComparePrimitive, UnaryPrimitive } from '../../program/primitives.js'

/** A scalar function; `dtype` is that of its operands. Results are rounded or wrapped when they are stored. */
type Unary = (x: number, dtype: DType) => number
type Binary = (x: number, y: number, dtype: DType) => number

export const unaryRules: { [P in UnaryPrimitive]: Unary } = {
  neg: x => -x,
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  rsqrt: x => 1 / Math.sqrt(x),
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  logistic: x => 1 / (1 + Math.exp(-x)),
  erf,
  erfInv,
  not: (x, dtype) => (dtype === 'bool' ? 1 - x : ~x),
  isFinite: x => Number(Number.isFinite(x)),
  stopGradient: x => x,
  optimizationBarrier: x => x,
}

/**
 * `shift` gets x's bits as an unsigned number, and the count `by`. A count outside of 0..width-1 is replaced by the
 * width.
 */
const shifted =
  (shift: (bits: number, by: number, width: number) => number): Binary =>
  (x, y, dtype) => {
    const width = 8 * dtypes[dtype].bytes
    const bits = width === 32 ? x >>> 0 : x & (2 ** width - 1)
    return shift(bits, y < 0 || y >= width ? width : y, width)
  }

export const binaryRules: { [P in BinaryPrimitive | ComparePrimitive]: Binary } = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y, dtype) => (isFloat(dtype) ? x * y : Math.imul(x, y)),
  div: (x, y, dtype) => (isFloat(dtype) ? x / y : y === 0 ? -1 : Math.trunc(x / y)),
  rem: (x, y, dtype) => (isFloat(dtype) ? x % y : y === 0 ? x : x % y),
  pow: (x, y) => (x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y),
  max: (x, y) => Math.max(x, y),
  min: (x, y) => Math.min(x, y),
  atan2: Math.atan2,
  and: (x, y) => x & y,
  or: (x, y) => x | y,
  xor: (x, y) => x ^ y,
  shiftLeft: shifted((bits, by) => (by > 31 ? 0 : bits << by)),
  shiftRightLogical: shifted((bits, by) => (by > 31 ? 0 : bits >>> by)),
  shiftRightArithmetic: shifted((bits, by, width) => (bits << (32 - width)) >> Math.min(32 - width + by, 31)),
  eq: (x, y) => Number(x === y),
  ne: (x, y) => Number(x !== y),
  lt: (x, y) => Number(x < y),
  le: (x, y) => Number(x <= y),
  gt: (x, y) => Number(x > y),
  ge: (x, y) => Number(x >= y),
}

/** `past`: the result for counts outside of 0..63. */
const int64Shift = (y: bigint, shift: () => bigint, past: bigint): bigint => (y < 0n || y > 63n ? past : shift())
const larger = (x: bigint, y: bigint): bigint => (x > y ? x : y)

/** int64 functions, in exact arithmetic; results are wrapped when they are stored. */
export const int64Unary: { [P in UnaryPrimitive]?: (x: bigint) => bigint } = {
  neg: x => -x,
  abs: x => (x < 0n ? -x : x),
  sign: x => (x > 0n ? 1n : x < 0n ? -1n : 0n),
  not: x => ~x,
  stopGradient: x => x,
  optimizationBarrier: x => x,
}

export const int64Binary: { [P in BinaryPrimitive | ComparePrimitive]?: (x: bigint, y: bigint) => bigint } = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => (y === 0n ? -1n : x / y),
  rem: (x, y) => (y === 0n ? x : x % y),
  max: larger,
  min: (x, y) => (x < y ? x : y),
  and: (x, y) => x & y,
  or: (x, y) => x | y,
  xor: (x, y) => x ^ y,
  shiftLeft: (x, y) => int64Shift(y, () => x << y, 0n),
  shiftRightLogical: (x, y) => int64Shift(y, () => BigInt.asUintN(64, x) >> y, 0n),
  shiftRightArithmetic: (x, y) => int64Shift(y, () => x >> y, x < 0n ? -1n : 0n),
  eq: (x, y) => BigInt(x === y),
  ne: (x, y) => BigInt(x !== y),
  lt: (x, y) => BigInt(x < y),
  le: (x, y) => BigInt(x <= y),
  gt: (x, y) => BigInt(x > y),
  ge: (x, y) => BigInt(x >= y),
}

/**
 * The error function to double precision: below 2.5 a series, from there on a continued fraction of erfc (Abramowitz
 * and Stegun 7.1.6, 7.1.14).
 */
function erf(x: number): number {
  const a = Math.abs(x)
  if (Number.isNaN(x) || x === 0) return x
  if (a > 6) return Math.sign(x)
  if (a < 2.5) {
    let term = a
    let sum = a
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n++) {
      term *= (2 * a * a) / (2 * n + 1)
      sum += term
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum
  }
  let fraction = a
  for (let n = 60; n >= 1; n--) fraction = a + n / 2 / fraction
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction))
}

/** The inverse of erf: Winitzki's approximation, improved by Newton's method. */
function erfInv(y: number): number {
  if (Number.isNaN(y) || Math.abs(y) > 1) return NaN
  if (Math.abs(y) === 1) return y * Infinity
  if (y === 0) return y
  const a = 0.147
  const l = Math.log((1 - y) * (1 + y))
  const b = 2 / (Math.PI * a) + l / 2
  let x = Math.sign(y) * Math.sqrt(Math.sqrt(b * b - l / a) - b)
  for (let i = 0; i < 4; i++) x -= (erf(x) - y) / ((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x))
  return x
}
