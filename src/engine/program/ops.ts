/**
 * The primitives as functions on values; primitives.ts says what each does. They are strict about shapes and dtypes,
 * except that a JS number is accepted as a constant of the other operand's type. The rules of transformations are
 * written with these functions, and the public np and lax are built on them.
 */
import { isFloat } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { sameShape } from './aval.js'
import type { MeshAxis, NamedSharding } from './sharding.js'
import type {
  BinaryPrimitive,
  ComparePrimitive,
  DotParams,
  GatherParams,
  ScatterParams,
  UnaryPrimitive,
} from './primitives.js'
import { bind } from './trace.js'
import { literal } from './value.js'
import type { Value } from './value.js'

export type Operand = Value | number

const none = {}

/** An array of the given shape with the same value everywhere. */
export const full = (shape: readonly number[], value: number | bigint | boolean, dtype: DType): Value =>
  broadcastInDim(literal(value, dtype), shape, [])

export const zerosLike = (x: Value): Value => full(x.shape, 0, x.dtype)

/** A JS number as an array of the other operand's shape and dtype. */
const like = (x: Operand, other: Operand): Value => {
  if (typeof x !== 'number') return x
  if (typeof other === 'number') throw new Error('one operand must be an array')
  return full(other.shape, x, other.dtype)
}

const unary =
  (p: UnaryPrimitive) =>
  (x: Value): Value =>
    bind(p, [x], none)[0]
const binary =
  (p: BinaryPrimitive | ComparePrimitive) =>
  (x: Operand, y: Operand): Value =>
    bind(p, [like(x, y), like(y, x)], none)[0]

export const neg = unary('neg'),
  abs = unary('abs'),
  sign = unary('sign'),
  floor = unary('floor'),
  ceil = unary('ceil')
export const round = unary('round'),
  exp = unary('exp'),
  expm1 = unary('expm1'),
  log = unary('log'),
  log1p = unary('log1p')
export const sqrt = unary('sqrt'),
  rsqrt = unary('rsqrt'),
  sin = unary('sin'),
  cos = unary('cos'),
  tanh = unary('tanh')
export const logistic = unary('logistic'),
  erf = unary('erf'),
  erfInv = unary('erfInv'),
  not = unary('not')
export const isFinite = unary('isFinite'),
  stopGradient = unary('stopGradient'),
  optimizationBarrier = unary('optimizationBarrier')
export const add = binary('add'),
  sub = binary('sub'),
  mul = binary('mul'),
  div = binary('div'),
  rem = binary('rem')
const powers = binary('pow')
/**
 * x to the power y. The numbers 2 and 3 make products from the start, as in JAX, so that a call rounds alike whether it
 * is compiled alone, in a batch or with the rest of a program.
 */
export const pow = (x: Operand, y: Operand): Value => {
  if ((y !== 2 && y !== 3) || typeof x === 'number' || !isFloat(x.dtype)) return powers(x, y)
  const square = mul(x, x)
  return y === 2 ? square : mul(square, x)
}
export const max = binary('max'),
  min = binary('min'),
  atan2 = binary('atan2')
export const and = binary('and'),
  or = binary('or'),
  xor = binary('xor')
export const shiftLeft = binary('shiftLeft'),
  shiftRightLogical = binary('shiftRightLogical')
export const shiftRightArithmetic = binary('shiftRightArithmetic')
export const eq = binary('eq'),
  ne = binary('ne'),
  lt = binary('lt'),
  le = binary('le'),
  gt = binary('gt'),
  ge = binary('ge')

export const select = (condition: Value, x: Operand, y: Operand): Value =>
  bind('select', [condition, like(x, y), like(y, x)], none)[0]

export const convertElementType = (x: Value, dtype: DType): Value =>
  x.dtype === dtype ? x : bind('convertElementType', [x], { dtype })[0]
export const bitcastConvertType = (x: Value, dtype: DType): Value =>
  x.dtype === dtype ? x : bind('bitcastConvertType', [x], { dtype })[0]

export const broadcastInDim = (x: Value, shape: readonly number[], dims: readonly number[]): Value =>
  sameShape(x.shape, shape) ? x : bind('broadcastInDim', [x], { shape, dims })[0]
export const reshape = (x: Value, shape: readonly number[]): Value =>
  sameShape(x.shape, shape) ? x : bind('reshape', [x], { shape })[0]
export const transpose = (x: Value, perm: readonly number[]): Value =>
  perm.every((p, i) => p === i) ? x : bind('transpose', [x], { perm })[0]
export const concatenate = (xs: readonly Value[], axis: number): Value =>
  xs.length === 1 ? xs[0] : bind('concatenate', xs, { axis })[0]
export const pad = (
  x: Value,
  value: Value,
  low: readonly number[],
  high: readonly number[],
  interior: readonly number[] = low.map(() => 0),
): Value => bind('pad', [x, value], { low, high, interior })[0]
export const slice = (
  x: Value,
  start: readonly number[],
  limit: readonly number[],
  strides: readonly number[] = start.map(() => 1),
): Value => bind('slice', [x], { start, limit, strides })[0]
export const rev = (x: Value, axes: readonly number[]): Value => bind('rev', [x], { axes })[0]
export const iota = (dtype: DType, shape: readonly number[], axis: number): Value =>
  bind('iota', [], { dtype, shape, axis })[0]
export const dynamicSlice = (x: Value, starts: readonly Value[], sizes: readonly number[]): Value =>
  bind('dynamicSlice', [x, ...starts], { sizes })[0]
export const dynamicUpdateSlice = (x: Value, update: Value, starts: readonly Value[]): Value =>
  bind('dynamicUpdateSlice', [x, update, ...starts], none)[0]

type Reduction = 'reduceSum' | 'reduceMax' | 'reduceMin' | 'reduceProd' | 'reduceAnd' | 'reduceOr'
const reduction =
  (p: Reduction) =>
  (x: Value, axes: readonly number[]): Value =>
    axes.length === 0 ? x : bind(p, [x], { axes })[0]
export const reduceSum = reduction('reduceSum'),
  reduceMax = reduction('reduceMax'),
  reduceMin = reduction('reduceMin')
export const reduceProd = reduction('reduceProd'),
  reduceAnd = reduction('reduceAnd'),
  reduceOr = reduction('reduceOr')
export const argmax = (x: Value, axis: number): Value => bind('argmax', [x], { axis })[0]
export const argmin = (x: Value, axis: number): Value => bind('argmin', [x], { axis })[0]
export const cumsum = (x: Value, axis: number, reverse = false): Value => bind('cumsum', [x], { axis, reverse })[0]

export const dotGeneral = (x: Value, y: Value, params: DotParams): Value => bind('dotGeneral', [x, y], params)[0]
export const gather = (x: Value, indices: Value, params: GatherParams): Value => bind('gather', [x, indices], params)[0]
export const scatter = (x: Value, indices: Value, updates: Value, params: ScatterParams): Value =>
  bind('scatter', [x, indices, updates], params)[0]
export const scatterAdd = (x: Value, indices: Value, updates: Value, params: GatherParams): Value =>
  bind('scatterAdd', [x, indices, updates], params)[0]
export const sort = (xs: readonly Value[], axis: number): Value[] => bind('sort', xs, { axis })
export const topK = (x: Value, k: number): Value[] => bind('topK', [x], { k })
export const threefry2x32 = (inputs: readonly Value[]): Value[] => bind('threefry2x32', inputs, none)

export const shardingConstraint = (x: Value, sharding: NamedSharding): Value =>
  bind('shardingConstraint', [x], { sharding })[0]
export const psum = (x: Value, axes: readonly MeshAxis[]): Value =>
  axes.length === 0 ? x : bind('psum', [x], { axes })[0]
export const allGather = (x: Value, axis: MeshAxis, dim: number): Value => bind('allGather', [x], { axis, dim })[0]
export const reduceScatter = (x: Value, axis: MeshAxis, dim: number): Value =>
  bind('reduceScatter', [x], { axis, dim })[0]
export const allToAll = (x: Value, axis: MeshAxis, splitDim: number, concatDim: number): Value =>
  bind('allToAll', [x], { axis, splitDim, concatDim })[0]
export const ppermute = (x: Value, axis: MeshAxis, permutation: readonly (readonly [number, number])[]): Value =>
  bind('ppermute', [x], { axis, permutation })[0]
export const axisIndex = (axis: MeshAxis): Value => bind('axisIndex', [], { axis })[0]

/** Moves axis `from` to position `to`; the other axes keep their order. */
export function moveAxis(x: Value, from: number, to: number): Value {
  const perm = x.shape.map((_, i) => i).filter(i => i !== from)
  perm.splice(to, 0, from)
  return transpose(x, perm)
}

/** The permutation of axes that undoes `perm`. */
export const inversePermutation = (perm: readonly number[]): number[] => perm.map((_, i) => perm.indexOf(i))

/** start, start + 1, ..., start + n - 1. */
export function range(n: number, start = 0): number[] {
  // Array.from takes longer, and tracing switch-base-8 calls this 18,000 times.
  const numbers: number[] = []
  for (let i = start; i < start + n; i++) numbers.push(i)
  return numbers
}
