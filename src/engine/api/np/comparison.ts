/**
 * Comparisons. The result is bool.
 *
 * - element by element: equal, notEqual, less, lessEqual, greater, greaterEqual
 * - of one operand: isFinite, isInf, isPosInf, isNegInf, isNan
 * - up to rounding: isclose, allclose
 * - of whole arrays: arrayEqual, arrayEquiv
 *
 * Operands broadcast and are converted to their common dtype. NaN is unequal to everything, including itself.
 */
import { extremeOf, isFloat, isInteger } from '../../../base/dtypes.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { sameShape } from '../../program/aval.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { constant, stretch } from '../values.js'
import { asFloat, asTensor, binary, commonDtype, lift, unary } from './operands.js'
import type { Binary, Unary } from './operands.js'

type Relation = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'
const mirrored: { readonly [R in Relation]: Relation } = { eq: 'eq', ne: 'ne', lt: 'gt', le: 'ge', gt: 'lt', ge: 'le' }

/**
 * Compares integers exactly with a number that their dtype may not hold (a fraction, NaN, or out of range). The number
 * is rounded to a whole number that gives the same comparison; if it is out of range, the result is the same for all
 * integers.
 */
function compareWithNumber(relation: Relation, { value }: Tensor, number: number | bigint): Value {
  const always = (answer: boolean): Value => ops.full(value.shape, answer, 'bool')
  if (Number.isNaN(number)) return always(relation === 'ne')
  const isWhole = typeof number === 'bigint' || Number.isInteger(number)
  if (!isWhole && (relation === 'eq' || relation === 'ne')) return always(relation === 'ne')
  const rounded =
    typeof number === 'bigint' ? number : (relation === 'lt' || relation === 'ge' ? Math.ceil : Math.floor)(number)
  const [least, greatest] = [extremeOf(value.dtype, 'least'), extremeOf(value.dtype, 'greatest')]
  if (rounded > greatest) return always(relation === 'ne' || relation === 'lt' || relation === 'le')
  if (rounded < least) return always(relation === 'ne' || relation === 'gt' || relation === 'ge')
  return ops[relation](value, stretch(constant(rounded, value.dtype), value.shape))
}

const isNumber = (x: TensorLike): x is number | bigint => typeof x === 'number' || typeof x === 'bigint'

const comparison = (relation: Relation): Binary => {
  const compare = binary(ops[relation])
  return (x, y) => {
    if (isNumber(y) && !isNumber(x)) {
      const operand = asTensor(x)
      if (isInteger(operand.dtype)) return new Tensor(compareWithNumber(relation, operand, y))
    }
    if (isNumber(x) && !isNumber(y)) {
      const operand = asTensor(y)
      if (isInteger(operand.dtype)) return new Tensor(compareWithNumber(mirrored[relation], operand, x))
    }
    return compare(x, y)
  }
}

/** x = y. Integers are compared with a bare number exactly, also if it has a fraction or is beyond their range. */
export const equal = comparison('eq')

/** x differs from y: the opposite of `equal`. */
export const notEqual = comparison('ne')

/** x < y. Integers are compared with a bare number exactly. false < true. */
export const less = comparison('lt')

/** x <= y. Integers are compared with a bare number exactly. */
export const lessEqual = comparison('le')

/** x > y. Integers are compared with a bare number exactly. */
export const greater = comparison('gt')

/** x >= y. Integers are compared with a bare number exactly. */
export const greaterEqual = comparison('ge')

/** A test of floats. For integers and bool the result is `whole`, without computing. */
const property = (f: (x: Value) => Value, whole: boolean): Unary =>
  unary(x => (isFloat(x.dtype) ? f(x) : ops.full(x.shape, whole, 'bool')))

/** Whether x is neither an infinity nor NaN. */
export const isFinite = property(ops.isFinite, true)

/** Whether x is an infinity of either sign. */
export const isInf = property(x => ops.eq(ops.abs(x), Infinity), false)

/** Whether x is Infinity. */
export const isPosInf = property(x => ops.eq(x, Infinity), false)

/** Whether x is -Infinity. */
export const isNegInf = property(x => ops.eq(x, -Infinity), false)

/** Whether x is NaN. */
export const isNan = property(x => ops.ne(x, x), false)

/** Tolerances of `isclose` and `allclose`. */
export interface ClosenessOptions {
  /** Relative to the size of y: 1e-5 unless given. */
  rtol?: number
  /** Absolute: 1e-8 unless given. */
  atol?: number
  /** Whether NaN is close to NaN: false unless given. */
  equalNan?: boolean
}

/** |x - y| <= atol + rtol |y|, element by element; equal infinities are close. Integers are compared as float32. */
export function isclose(x: TensorLike, y: TensorLike, options: ClosenessOptions = {}): Tensor {
  const {
    rtol = 1e-5,
    atol = 1e-8,
    equalNan = false,
  } = readOptions('np.isclose', options, ['rtol', 'atol', 'equalNan'])
  const common = commonDtype(x, y)
  const dtype = isFloat(common) ? common : 'float32'
  return binary((a, b) => {
    const isNear = ops.le(ops.abs(ops.sub(a, b)), ops.add(ops.mul(ops.abs(b), rtol), atol))
    const areFinite = ops.and(ops.isFinite(a), ops.isFinite(b))
    const close = ops.or(ops.eq(a, b), ops.and(isNear, areFinite))
    return equalNan ? ops.or(close, ops.and(ops.ne(a, a), ops.ne(b, b))) : close
  })(new Tensor(lift(x, dtype)), new Tensor(lift(y, dtype)))
}

const allOf = (x: Tensor): Tensor => new Tensor(ops.reduceAnd(x.value, ops.range(x.ndim)))

/** Whether all elements are close (see `isclose`): a bool scalar. */
export const allclose = (x: TensorLike, y: TensorLike, options: ClosenessOptions = {}): Tensor =>
  allOf(isclose(x, y, options))

/** Whether two arrays have one shape and equal elements: a bool scalar. `equalNan`: NaN counts as equal to NaN. */
export function arrayEqual(x: TensorLike, y: TensorLike, options: { equalNan?: boolean } = {}): Tensor {
  const { equalNan = false } = readOptions('np.arrayEqual', options, ['equalNan'])
  const [a, b] = [asTensor(x), asTensor(y)]
  if (!sameShape(a.shape, b.shape)) return new Tensor(ops.full([], false, 'bool'))
  const same = equal(a, b).value
  if (!equalNan) return allOf(new Tensor(same))
  const bothNan = ops.and(isNan(asFloat(a)).value, isNan(asFloat(b)).value)
  return allOf(new Tensor(ops.or(same, bothNan)))
}

/** Whether two arrays that broadcast together have equal elements: a bool scalar, false if they do not broadcast. */
export const arrayEquiv: Binary = (x: TensorLike, y: TensorLike) => {
  const [a, b] = [asTensor(x), asTensor(y)]
  const ndim = Math.max(a.ndim, b.ndim)
  const lengthAt = (t: Tensor, i: number): number => t.shape[t.ndim - ndim + i] ?? 1
  const fits = ops.range(ndim).every(i => {
    const [m, n] = [lengthAt(a, i), lengthAt(b, i)]
    return m === n || m === 1 || n === 1
  })
  return fits ? allOf(equal(a, b)) : new Tensor(ops.full([], false, 'bool'))
}
