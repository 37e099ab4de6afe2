/** The primitives on arrays, strict: operands of one shape and one dtype, except that a number stands for a constant like the other operand. */
import type { DType } from '../../../base/dtypes.js'
import * as ops from '../../program/ops.js'
import type { DotParams, GatherParams } from '../../program/primitives.js'
import type { Value } from '../../program/value.js'
import { Array } from '../array.js'
import { defaultEngine } from '../engine.js'
import { constant } from '../values.js'

const unary = (f: (x: Value) => Value) => (x: Array): Array => new Array(f(x.value))
const binary = (f: (x: ops.Operand, y: ops.Operand) => Value) => (x: Array | number, y: Array | number): Array => new Array(f(operand(x), operand(y)))
const operand = (x: Array | number): ops.Operand => (x instanceof Array ? x.value : x)
const valueOf = (x: Array): Value => x.value
const several = (xs: readonly Value[]): Array[] => xs.map(x => new Array(x))

export const neg = unary(ops.neg), abs = unary(ops.abs), sign = unary(ops.sign), floor = unary(ops.floor), ceil = unary(ops.ceil)
/** Rounds half to even. */
export const round = unary(ops.round)
export const exp = unary(ops.exp), expm1 = unary(ops.expm1), log = unary(ops.log), log1p = unary(ops.log1p)
export const sqrt = unary(ops.sqrt), rsqrt = unary(ops.rsqrt), sin = unary(ops.sin), cos = unary(ops.cos), tanh = unary(ops.tanh)
export const logistic = unary(ops.logistic), erf = unary(ops.erf), erfInv = unary(ops.erfInv), not = unary(ops.not), isFinite = unary(ops.isFinite)
/** The operand itself, whose derivative counts as zero. */
export const stopGradient = unary(ops.stopGradient)
/** The operand itself; nothing is merged or moved across. */
export const optimizationBarrier = unary(ops.optimizationBarrier)

export const add = binary(ops.add), sub = binary(ops.sub), mul = binary(ops.mul), div = binary(ops.div)
/** The remainder with the sign of x. */
export const rem = binary(ops.rem)
export const pow = binary(ops.pow), max = binary(ops.max), min = binary(ops.min), atan2 = binary(ops.atan2)
export const and = binary(ops.and), or = binary(ops.or), xor = binary(ops.xor)
export const shiftLeft = binary(ops.shiftLeft), shiftRightLogical = binary(ops.shiftRightLogical)
export const shiftRightArithmetic = binary(ops.shiftRightArithmetic)
export const eq = binary(ops.eq), ne = binary(ops.ne), lt = binary(ops.lt), le = binary(ops.le), gt = binary(ops.gt), ge = binary(ops.ge)
/** condition ? x : y, element by element. */
export const select = (condition: Array, x: Array | number, y: Array | number): Array => new Array(ops.select(condition.value, operand(x), operand(y)))

export const convertElementType = (x: Array, dtype: DType): Array => new Array(ops.convertElementType(x.value, dtype))
/** The same bits, read as another dtype of the same width. */
export const bitcastConvertType = (x: Array, dtype: DType): Array => new Array(ops.bitcastConvertType(x.value, dtype))

/** Axis i of x becomes axis dims[i] of the result. */
export const broadcastInDim = (x: Array, shape: readonly number[], dims: readonly number[]): Array => new Array(ops.broadcastInDim(x.value, shape, dims))
export const reshape = (x: Array, shape: readonly number[]): Array => new Array(ops.reshape(x.value, shape))
export const transpose = (x: Array, perm: readonly number[]): Array => new Array(ops.transpose(x.value, perm))
export const concatenate = (xs: readonly Array[], axis: number): Array => new Array(ops.concatenate(xs.map(valueOf), axis))
/** Adds `value` before, after and between the elements of each axis; negative widths crop. */
export const pad = (x: Array, value: number, low: readonly number[], high: readonly number[], interior?: readonly number[]): Array =>
  new Array(ops.pad(x.value, constant(value, x.dtype), low, high, interior))
export const slice = (x: Array, start: readonly number[], limit: readonly number[], strides?: readonly number[]): Array =>
  new Array(ops.slice(x.value, start, limit, strides))
/** In the opposite order along these axes. */
export const rev = (x: Array, axes: readonly number[]): Array => new Array(ops.rev(x.value, axes))
/** Each element's position along an axis. */
export const iota = (dtype: DType, shape: readonly number[], axis: number): Array => {
  defaultEngine()
  return new Array(ops.iota(dtype, shape, axis))
}

const startValue = (s: Array | number): Value => (s instanceof Array ? s.value : constant(s, 'int32'))
/** A window of the given sizes; starts are int32 scalars, moved so that the window fits. */
export const dynamicSlice = (x: Array, starts: readonly (Array | number)[], sizes: readonly number[]): Array =>
  new Array(ops.dynamicSlice(x.value, starts.map(startValue), sizes))
/** x with a window replaced; starts as in dynamicSlice. */
export const dynamicUpdateSlice = (x: Array, update: Array, starts: readonly (Array | number)[]): Array =>
  new Array(ops.dynamicUpdateSlice(x.value, update.value, starts.map(startValue)))

const reduction = (f: (x: Value, axes: readonly number[]) => Value) => (x: Array, axes: readonly number[]): Array => new Array(f(x.value, axes))
export const reduceSum = reduction(ops.reduceSum), reduceMax = reduction(ops.reduceMax), reduceMin = reduction(ops.reduceMin)
export const reduceProd = reduction(ops.reduceProd), reduceAnd = reduction(ops.reduceAnd), reduceOr = reduction(ops.reduceOr)
export const argmax = (x: Array, axis: number): Array => new Array(ops.argmax(x.value, axis))
export const argmin = (x: Array, axis: number): Array => new Array(ops.argmin(x.value, axis))
/** Running sums, from the last element when `reverse`. */
export const cumsum = (x: Array, axis: number, { reverse = false }: { reverse?: boolean } = {}): Array => new Array(ops.cumsum(x.value, axis, reverse))

/** Sums products over the contracted axes. Output: batch axes, x's other axes, y's. */
export const dotGeneral = (x: Array, y: Array, params: DotParams): Array => new Array(ops.dotGeneral(x.value, y.value, params))
/** Reads where `indices` say: see GatherParams. */
export const gather = (x: Array, indices: Array, params: GatherParams): Array => new Array(ops.gather(x.value, indices.value, params))
/** Writes where gather reads. */
export const scatter = (x: Array, indices: Array, updates: Array, params: GatherParams): Array =>
  new Array(ops.scatter(x.value, indices.value, updates.value, params))
/** Adds where gather reads, once for each index. */
export const scatterAdd = (x: Array, indices: Array, updates: Array, params: GatherParams): Array =>
  new Array(ops.scatterAdd(x.value, indices.value, updates.value, params))
/** Sorts arrays together along an axis, ascending and stable, by the first one. */
export const sort = (xs: readonly Array[], axis: number): Array[] => several(ops.sort(xs.map(valueOf), axis))
/** The k greatest along the last axis, in descending order, and their positions. */
export const topK = (x: Array, k: number): Array[] => several(ops.topK(x.value, k))
/** threefry2x32(key0, key1, count0, count1): two words of random bits for each element. */
export const threefry2x32 = (inputs: readonly Array[]): Array[] => several(ops.threefry2x32(inputs.map(valueOf)))
