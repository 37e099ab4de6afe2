/** NumPy's functions on arrays, with its broadcasting. A bare number takes the dtype of the array beside it. */
import { isFloat } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { sizeOf } from '../../base/tensor.js'
import { sameShape } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { literal } from '../program/value.js'
import type { Value } from '../program/value.js'
import { Array, defaultEngine } from './array.js'
import type { ArrayLike } from './array.js'

export { array, fromHost } from './array.js'

/** Common dtype of two operands: a bare number is weak; a non-integer beside an integer array gives float32. */
function commonDtype(x: ArrayLike, y: ArrayLike): DType {
  const weak = (array: Array, n: number | boolean): DType =>
    typeof n === 'boolean' ? array.dtype
      : array.dtype === 'bool' ? (Number.isInteger(n) ? 'int32' : 'float32')
        : isFloat(array.dtype) || Number.isInteger(n) ? array.dtype : 'float32'
  if (x instanceof Array && y instanceof Array) return promote(x.dtype, y.dtype)
  if (x instanceof Array) return weak(x, y as number | boolean)
  if (y instanceof Array) return weak(y, x)
  return 'float32'
}

const rank: readonly DType[] = ['bool', 'uint8', 'int8', 'uint16', 'int32', 'uint32', 'int64', 'float16', 'bfloat16', 'float32']

/** The wider of two dtypes; float16 with bfloat16 gives float32, uint32 with a signed integer int64, as in JAX. */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a
  const [low, high] = rank.indexOf(a) < rank.indexOf(b) ? [a, b] : [b, a]
  if (low === 'float16' && high === 'bfloat16') return 'float32'
  if (high === 'uint32' && (low === 'int32' || low === 'int8')) return 'int64'
  if (low === 'uint8' && high === 'int8') return 'int32'
  if (low === 'int8' && high === 'uint16') return 'int32'
  return high
}

function lift(x: ArrayLike, dtype: DType): Value {
  defaultEngine()
  return x instanceof Array ? ops.convertElementType(x.value, dtype) : literal(x, dtype)
}

/** NumPy's broadcast shape of two shapes; throws a ShapeError when there is none. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] {
  return ops.range(Math.max(a.length, b.length)).map((_, i, all) => {
    const da = a[i - all.length + a.length] ?? 1
    const db = b[i - all.length + b.length] ?? 1
    check(da === db || da === 1 || db === 1, () => `the shapes [${a}] and [${b}] do not broadcast together`)
    return da === 1 ? db : da
  })
}

const stretch = (x: Value, shape: readonly number[]): Value =>
  ops.broadcastInDim(x, shape, ops.range(x.ndim, shape.length - x.ndim))

/** Stretches an array to a shape, as NumPy does: new axes in front, axes of length 1 repeated. */
export const broadcastTo = (x: Array, shape: readonly number[]): Array => {
  check(sameShape(broadcastShapes(x.shape, shape), shape), () => `[${x.shape}] does not broadcast to [${shape}]`)
  return new Array(stretch(x.value, shape))
}

const binary = (f: (x: Value, y: Value) => Value, float = false) => (x: ArrayLike, y: ArrayLike): Array => {
  const common = commonDtype(x, y)
  const dtype = float && !isFloat(common) ? 'float32' : common
  const [a, b] = [lift(x, dtype), lift(y, dtype)]
  const shape = broadcastShapes(a.shape, b.shape)
  return new Array(f(stretch(a, shape), stretch(b, shape)))
}

export const add = binary(ops.add), subtract = binary(ops.sub), multiply = binary(ops.mul)
/** True division: integers are converted to float32. */
export const divide = binary(ops.div, true)
export const remainder = binary(ops.rem), maximum = binary(ops.max), minimum = binary(ops.min)
export const power = binary(ops.pow, true), atan2 = binary(ops.atan2, true)
export const equal = binary(ops.eq), notEqual = binary(ops.ne), less = binary(ops.lt), lessEqual = binary(ops.le)
export const greater = binary(ops.gt), greaterEqual = binary(ops.ge)
export const logicalAnd = binary(ops.and), logicalOr = binary(ops.or), logicalXor = binary(ops.xor)

const unary = (f: (x: Value) => Value, float: boolean) => (x: Array): Array =>
  new Array(f(float && !isFloat(x.dtype) ? ops.convertElementType(x.value, 'float32') : x.value))

export const negative = unary(ops.neg, false), abs = unary(ops.abs, false), sign = unary(ops.sign, false)
export const logicalNot = unary(ops.not, false)
export const floor = unary(ops.floor, true), ceil = unary(ops.ceil, true)
/** Rounds half to even. */
export const round = unary(ops.round, true)
export const exp = unary(ops.exp, true), expm1 = unary(ops.expm1, true), log = unary(ops.log, true), log1p = unary(ops.log1p, true)
export const sqrt = unary(ops.sqrt, true), rsqrt = unary(ops.rsqrt, true), sin = unary(ops.sin, true), cos = unary(ops.cos, true)
export const tanh = unary(ops.tanh, true), sigmoid = unary(ops.logistic, true), erf = unary(ops.erf, true), erfInv = unary(ops.erfInv, true)
export const isFinite = unary(ops.isFinite, true)
export const square = (x: Array): Array => multiply(x, x)

/** The array in another dtype. */
export const astype = (x: Array, dtype: DType): Array => new Array(ops.convertElementType(x.value, dtype))

/** condition ? x : y, element by element. */
export function where(condition: Array, x: ArrayLike, y: ArrayLike): Array {
  const dtype = commonDtype(x, y)
  const [a, b] = [lift(x, dtype), lift(y, dtype)]
  const shape = broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape))
  return new Array(ops.select(stretch(condition.value, shape), stretch(a, shape), stretch(b, shape)))
}

export const full = (shape: readonly number[], value: number, dtype: DType = 'float32'): Array => {
  defaultEngine()
  return new Array(ops.full(shape, value, dtype))
}
export const zeros = (shape: readonly number[], dtype: DType = 'float32'): Array => full(shape, 0, dtype)
export const ones = (shape: readonly number[], dtype: DType = 'float32'): Array => full(shape, 1, dtype)
/** 0, 1, ..., n - 1. */
export const arange = (n: number, dtype: DType = 'int32'): Array => {
  defaultEngine()
  return new Array(ops.iota(dtype, [n], 0))
}

export type Axes = number | readonly number[]

const normalize = (axis: number, ndim: number): number => {
  check(Number.isInteger(axis) && axis >= -ndim && axis < ndim, () => `axis ${axis} is out of bounds for ${ndim} dimensions`)
  return axis < 0 ? axis + ndim : axis
}
const normalizeAxes = (axes: Axes | undefined, ndim: number): number[] =>
  axes === undefined ? ops.range(ndim) : (typeof axes === 'number' ? [axes] : axes).map(a => normalize(a, ndim))

interface Reduce { axis?: Axes; keepdims?: boolean }

const reduction = (f: (x: Value, axes: readonly number[]) => Value) => (x: Array, { axis, keepdims = false }: Reduce = {}): Array => {
  const axes = normalizeAxes(axis, x.ndim)
  const result = f(x.value, axes)
  return new Array(keepdims ? ops.reshape(result, x.shape.map((d, i) => (axes.includes(i) ? 1 : d))) : result)
}

export const sum = reduction(ops.reduceSum), max = reduction(ops.reduceMax), min = reduction(ops.reduceMin), prod = reduction(ops.reduceProd)
export const all = reduction(ops.reduceAnd), any = reduction(ops.reduceOr)

export function mean(x: Array, options: Reduce = {}): Array {
  const count = sizeOf(normalizeAxes(options.axis, x.ndim).map(a => x.shape[a]))
  return divide(sum(x, options), count)
}

export const argmax = (x: Array, axis = -1): Array => new Array(ops.argmax(x.value, normalize(axis, x.ndim)))
export const argmin = (x: Array, axis = -1): Array => new Array(ops.argmin(x.value, normalize(axis, x.ndim)))
export const cumsum = (x: Array, axis = -1): Array => new Array(ops.cumsum(x.value, normalize(axis, x.ndim)))

/** One length may be -1: it is worked out. */
export function reshape(x: Array, shape: readonly number[]): Array {
  const known = sizeOf(shape.filter(d => d !== -1))
  return new Array(ops.reshape(x.value, shape.map(d => (d === -1 ? x.size / known : d))))
}

/** Permutes axes; reverses them when no permutation is given. */
export const transpose = (x: Array, perm: readonly number[] = ops.range(x.ndim).toReversed()): Array =>
  new Array(ops.transpose(x.value, perm.map(p => normalize(p, x.ndim))))

export const concatenate = (xs: readonly Array[], axis = 0): Array =>
  new Array(ops.concatenate(xs.map(x => x.value), normalize(axis, xs[0].ndim)))

/** NumPy's matrix product: 1-D operands are vectors, leading axes are batched and broadcast. */
export function matmul(x: Array, y: Array): Array {
  const dtype = promote(x.dtype, y.dtype)
  const [a, b] = [lift(x, dtype), lift(y, dtype)]
  check(a.ndim > 0 && b.ndim > 0, 'matmul needs operands of one dimension or more')
  const matrixA = a.ndim === 1 ? ops.reshape(a, [1, ...a.shape]) : a
  const matrixB = b.ndim === 1 ? ops.reshape(b, [...b.shape, 1]) : b
  const batch = broadcastShapes(matrixA.shape.slice(0, -2), matrixB.shape.slice(0, -2))
  const left = stretch(matrixA, [...batch, ...matrixA.shape.slice(-2)])
  const right = stretch(matrixB, [...batch, ...matrixB.shape.slice(-2)])
  const n = batch.length
  const product = ops.dotGeneral(left, right, { contract: [[n + 1], [n]], batch: [ops.range(n), ops.range(n)] })
  const shape = [...batch, ...(a.ndim === 1 ? [] : [left.shape[n]]), ...(b.ndim === 1 ? [] : [right.shape[n + 1]])]
  return new Array(ops.reshape(product, shape))
}

/** Rows of x along an axis, by integer indices of any shape; indices out of bounds are moved to the edge. */
export function take(x: Array, indices: Array, axis = 0): Array {
  const at = normalize(axis, x.ndim)
  const gathered = ops.gather(x.value, ops.reshape(indices.value, [...indices.shape, 1]), { axes: [at], batchDims: 0, mode: 'clip' })
  // The gathered axes come first: put them where the axis was.
  const n = indices.ndim
  return new Array(ops.transpose(gathered, [...ops.range(at, n), ...ops.range(n), ...ops.range(x.ndim - 1 - at, n + at)]))
}
