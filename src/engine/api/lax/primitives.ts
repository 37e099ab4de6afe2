/** The primitives on arrays, strict: operands of one shape and one dtype, except that a number stands for a constant like the other operand. */
import type { DType } from '../../../base/dtypes.js'
import * as ops from '../../program/ops.js'
import type { DotParams, GatherParams } from '../../program/primitives.js'
import type { Value } from '../../program/value.js'
import { Tensor } from '../tensor.js'
import { defaultEngine } from '../engine.js'
import { constant } from '../values.js'

const unary =
  (f: (x: Value) => Value) =>
  (x: Tensor): Tensor =>
    new Tensor(f(x.value))
const binary =
  (f: (x: ops.Operand, y: ops.Operand) => Value) =>
  (x: Tensor | number, y: Tensor | number): Tensor =>
    new Tensor(f(operand(x), operand(y)))
const operand = (x: Tensor | number): ops.Operand => (x instanceof Tensor ? x.value : x)
const valueOf = (x: Tensor): Value => x.value
const several = (xs: readonly Value[]): Tensor[] => xs.map(x => new Tensor(x))

export const neg = unary(ops.neg),
  abs = unary(ops.abs),
  sign = unary(ops.sign),
  floor = unary(ops.floor),
  ceil = unary(ops.ceil)
/** Rounds half to even. */
export const round = unary(ops.round)
export const exp = unary(ops.exp),
  expm1 = unary(ops.expm1),
  log = unary(ops.log),
  log1p = unary(ops.log1p)
export const sqrt = unary(ops.sqrt),
  rsqrt = unary(ops.rsqrt),
  sin = unary(ops.sin),
  cos = unary(ops.cos),
  tanh = unary(ops.tanh)
export const logistic = unary(ops.logistic),
  erf = unary(ops.erf),
  erfInv = unary(ops.erfInv),
  not = unary(ops.not),
  isFinite = unary(ops.isFinite)
/** The operand itself, whose derivative counts as zero. */
export const stopGradient = unary(ops.stopGradient)
/** The operand itself; nothing is merged or moved across. */
export const optimizationBarrier = unary(ops.optimizationBarrier)

export const add = binary(ops.add),
  sub = binary(ops.sub),
  mul = binary(ops.mul),
  div = binary(ops.div)
/** The remainder with the sign of x. */
export const rem = binary(ops.rem)
export const pow = binary(ops.pow),
  max = binary(ops.max),
  min = binary(ops.min),
  atan2 = binary(ops.atan2)
export const and = binary(ops.and),
  or = binary(ops.or),
  xor = binary(ops.xor)
export const shiftLeft = binary(ops.shiftLeft),
  shiftRightLogical = binary(ops.shiftRightLogical)
export const shiftRightArithmetic = binary(ops.shiftRightArithmetic)
export const eq = binary(ops.eq),
  ne = binary(ops.ne),
  lt = binary(ops.lt),
  le = binary(ops.le),
  gt = binary(ops.gt),
  ge = binary(ops.ge)
/** condition ? x : y, element by element. */
export const select = (condition: Tensor, x: Tensor | number, y: Tensor | number): Tensor =>
  new Tensor(ops.select(condition.value, operand(x), operand(y)))

export const convertElementType = (x: Tensor, dtype: DType): Tensor =>
  new Tensor(ops.convertElementType(x.value, dtype))
/** The same bits, read as another dtype of the same width. */
export const bitcastConvertType = (x: Tensor, dtype: DType): Tensor =>
  new Tensor(ops.bitcastConvertType(x.value, dtype))

/** Axis i of x becomes axis dims[i] of the result. */
export const broadcastInDim = (x: Tensor, shape: readonly number[], dims: readonly number[]): Tensor =>
  new Tensor(ops.broadcastInDim(x.value, shape, dims))
export const reshape = (x: Tensor, shape: readonly number[]): Tensor => new Tensor(ops.reshape(x.value, shape))
export const transpose = (x: Tensor, perm: readonly number[]): Tensor => new Tensor(ops.transpose(x.value, perm))
export const concatenate = (xs: readonly Tensor[], axis: number): Tensor =>
  new Tensor(ops.concatenate(xs.map(valueOf), axis))
/** Adds `value` before, after and between the elements of each axis; negative widths crop. */
export const pad = (
  x: Tensor,
  value: number,
  low: readonly number[],
  high: readonly number[],
  interior?: readonly number[],
): Tensor => new Tensor(ops.pad(x.value, constant(value, x.dtype), low, high, interior))
export const slice = (
  x: Tensor,
  start: readonly number[],
  limit: readonly number[],
  strides?: readonly number[],
): Tensor => new Tensor(ops.slice(x.value, start, limit, strides))
/** In the opposite order along these axes. */
export const rev = (x: Tensor, axes: readonly number[]): Tensor => new Tensor(ops.rev(x.value, axes))
/** Each element's position along an axis. */
export const iota = (dtype: DType, shape: readonly number[], axis: number): Tensor => {
  defaultEngine()
  return new Tensor(ops.iota(dtype, shape, axis))
}

const startValue = (s: Tensor | number): Value => (s instanceof Tensor ? s.value : constant(s, 'int32'))
/** A window of the given sizes; starts are int32 scalars, moved so that the window fits. */
export const dynamicSlice = (x: Tensor, starts: readonly (Tensor | number)[], sizes: readonly number[]): Tensor =>
  new Tensor(ops.dynamicSlice(x.value, starts.map(startValue), sizes))
/** x with a window replaced; starts as in dynamicSlice. */
export const dynamicUpdateSlice = (x: Tensor, update: Tensor, starts: readonly (Tensor | number)[]): Tensor =>
  new Tensor(ops.dynamicUpdateSlice(x.value, update.value, starts.map(startValue)))

const reduction =
  (f: (x: Value, axes: readonly number[]) => Value) =>
  (x: Tensor, axes: readonly number[]): Tensor =>
    new Tensor(f(x.value, axes))
export const reduceSum = reduction(ops.reduceSum),
  reduceMax = reduction(ops.reduceMax),
  reduceMin = reduction(ops.reduceMin)
export const reduceProd = reduction(ops.reduceProd),
  reduceAnd = reduction(ops.reduceAnd),
  reduceOr = reduction(ops.reduceOr)
export const argmax = (x: Tensor, axis: number): Tensor => new Tensor(ops.argmax(x.value, axis))
export const argmin = (x: Tensor, axis: number): Tensor => new Tensor(ops.argmin(x.value, axis))
/** Running sums, from the last element when `reverse`. */
export const cumsum = (x: Tensor, axis: number, { reverse = false }: { reverse?: boolean } = {}): Tensor =>
  new Tensor(ops.cumsum(x.value, axis, reverse))

/** Sums products over the contracted axes. Output: batch axes, x's other axes, y's. */
export const dotGeneral = (x: Tensor, y: Tensor, params: DotParams): Tensor =>
  new Tensor(ops.dotGeneral(x.value, y.value, params))
/** Reads where `indices` say: see GatherParams. */
export const gather = (x: Tensor, indices: Tensor, params: GatherParams): Tensor =>
  new Tensor(ops.gather(x.value, indices.value, params))
/** Writes where gather reads. */
export const scatter = (x: Tensor, indices: Tensor, updates: Tensor, params: GatherParams): Tensor =>
  new Tensor(ops.scatter(x.value, indices.value, updates.value, params))
/** Adds where gather reads, once for each index. */
export const scatterAdd = (x: Tensor, indices: Tensor, updates: Tensor, params: GatherParams): Tensor =>
  new Tensor(ops.scatterAdd(x.value, indices.value, updates.value, params))
/** Sorts arrays together along an axis, ascending and stable, by the first one. */
export const sort = (xs: readonly Tensor[], axis: number): Tensor[] => several(ops.sort(xs.map(valueOf), axis))
/** The k greatest along the last axis, in descending order, and their positions. */
export const topK = (x: Tensor, k: number): Tensor[] => several(ops.topK(x.value, k))
/** threefry2x32(key0, key1, count0, count1): two words of random bits for each element. */
export const threefry2x32 = (inputs: readonly Tensor[]): Tensor[] => several(ops.threefry2x32(inputs.map(valueOf)))
