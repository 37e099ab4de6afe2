import type { DType } from '../../base/dtypes.js'
import type { Aval } from './aval.js'
import type { Mesh, MeshAxis, NamedSharding, PartitionSpec } from './sharding.js'

/**
 * How an index out of bounds is treated. `clip`: it is moved to the nearest valid index. `fill`: a gather reads zero
 * there (JAX reads NaN for floats). `drop`: a scatter skips that update. Negative indices are out of bounds here; np
 * adds the axis length to them first.
 */
export type IndexMode = 'clip' | 'fill' | 'drop'

type None = Record<string, never>

export interface ReduceParams {
  axes: readonly number[]
}

/**
 * Contracted and batch axes of the two operands, as in XLA's DotGeneral. The other axes are called free.
 * Output axes: batch, left free, right free.
 */
export interface DotParams {
  contract: readonly [readonly number[], readonly number[]]
  batch: readonly [readonly number[], readonly number[]]
}

/**
 * gather(operand, indices): the first `batchDims` axes of both are batch axes; the last axis of `indices` holds one
 * index for each of `axes`. Output: batch, the other axes of indices, the remaining axes of the operand, in order.
 * scatter and scatterAdd (operand, indices, updates) write to the positions that a gather with the same parameters
 * reads.
 */
export interface GatherParams {
  axes: readonly number[]
  batchDims: number
  mode: IndexMode
}

export interface ScatterParams extends GatherParams {
  /** A promise that no two index vectors are equal. Rows are then written by several threads, and in place. */
  uniqueIndices?: boolean
}

export interface ScanParams<Program> {
  /** (consts, carry, x) -> (carry, y). */
  body: Program
  numConsts: number
  numCarry: number
  length: number
  reverse: boolean
}

/**
 * Of a composite that computes groups of rows, each with arrays of its own: what it computes for one group. Its
 * operands are rows [rows, ...], arrays [groups, ...], and group sizes [groups]; its result has the same rows. The rule
 * gives the program for one group, from the types of its rows [n, ...] and of its parts of the arrays.
 */
export type GroupRule<Program> = (operands: readonly Aval[]) => Program

/** A composite's own reverse-mode derivative. */
export interface VjpPrograms<Program> {
  /** inputs -> outputs, then residuals. */
  forward: Program
  /**
   * residuals, cotangents of the outputs -> cotangents of the first inputs. Later inputs, which it captured, get none.
   */
  backward: Program
}

export interface ShardMapParams<Program> {
  mesh: Mesh
  /** How each operand is split over the devices, and how each result is put together from theirs. */
  inSpecs: readonly PartitionSpec[]
  outSpecs: readonly PartitionSpec[]
  /** From one device's parts of the operands to its parts of the results. */
  body: Program
}

/**
 * Every primitive and its parameters. The types of all rule tables are derived from this list. (`Program` is a type
 * parameter, because program.ts imports this file.)
 *
 * The comments define each primitive's edge cases; test/conformance checks them for every backend and dtype. The
 * semantics are XLA's; differences are marked "unlike XLA". For all primitives:
 * - Operands of element-wise primitives have the same shape and dtype: conversion and broadcasting are separate
 *   primitives. Operands that a shape rule rejects (shapes.ts) are a ShapeError. Every backend computes all operands
 *   that it accepts.
 * - float16 and bfloat16 are computed in float32 or wider and rounded after each equation, to nearest, ties to even.
 * - Integers wrap: they keep the low bits of the exact result. int64 has all of its 64 bits.
 * - bool operands: add, max, reduceSum, reduceMax and scatterAdd compute OR; mul, min, reduceProd and reduceMin compute
 *   AND; dotGeneral computes an OR of ANDs; comparisons order false below true.
 * - A NaN operand gives a NaN result, whatever its position, except where a comment says otherwise. NaN payloads and
 *   signs are not kept.
 * - Zeros keep their sign as in IEEE 754, except in `select`, `max`, `min` and `dotGeneral`, and where `simplify`
 *   rewrites x + 0 as x.
 * - A backend may take subnormal float32 and bfloat16 numbers as zeros of their sign. XLA does on a CPU.
 */
// prettier-ignore
export interface PrimitiveParamsOf<Program> {
  // Element-wise, one operand.

  /** neg of unsigned integers: 2^bits - x. neg and abs of the least signed integer are that integer itself. */
  neg: None; abs: None
  /** -1, 0 or 1. sign(NaN) is NaN, sign(-0) is -0. */
  sign: None
  /** `round` goes to the nearest integer, ties to the even one: round(2.5) = 2, round(-0.5) = -0. */
  floor: None; ceil: None; round: None
  /**
   * Floats only. Outside of a function's domain: NaN; log(0) = -Infinity, log1p(-1) = -Infinity, rsqrt(0) = Infinity,
   * rsqrt(-0) = -Infinity.
   */
  exp: None; expm1: None; log: None; log1p: None; sqrt: None; rsqrt: None
  sin: None; cos: None; tanh: None; logistic: None; erf: None
  /**
   * The inverse of erf: erfInv(1) is Infinity; outside of -1..1 it is NaN. When compiled, the result has XLA's error:
   * close to 1 and -1, up to 6e-6 of the value.
   */
  erfInv: None
  /** Bitwise for integers, logical for bool. */
  not: None
  isFinite: None
  /** The operand itself. Its derivative is zero. */
  stopGradient: None
  /** The operand itself; simplification never merges or moves it (rematerialization relies on that). */
  optimizationBarrier: None
  /**
   * - Float to integer: truncated; values out of range become the nearest integer of the dtype; NaN becomes 0.
   * - Integer to a narrower integer: the low bits.
   * - To bool: 0 is false, all other values are true, NaN too. From bool: 0 and 1.
   * - To a narrower float: rounded to nearest, ties to even, to infinity beyond its range.
   */
  convertElementType: { dtype: DType }
  /** The same bits as another dtype of the same width. A byte that becomes bool must be 0 or 1. */
  bitcastConvertType: { dtype: DType }

  // Element-wise, two operands of one shape and dtype.

  add: None; sub: None; mul: None
  /**
   * Integers: rounded towards 0; x / 0 is -1 (all bits set); the least integer / -1 is that integer. Never a CPU
   * exception.
   */
  div: None
  /**
   * The remainder with the sign of x, x - y trunc(x / y), exact. Integers: x rem 0 is x, x rem -1 is 0. Floats:
   * x rem 0 and Infinity rem y are NaN, x rem Infinity is x.
   */
  rem: None
  /**
   * Floats only. 1 to any power and anything to the power 0 are 1, NaN included; a negative number to a fraction is
   * NaN; pow(-1, Infinity) = 1.
   */
  pow: None
  /**
   * NaN if either operand is NaN. For 0 and -0 the result is either of them (unlike XLA: max gives 0, min gives -0).
   */
  max: None; min: None
  /** The angle of the point (y, x) for atan2(y, x), from -pi to pi; the signs of zeros choose the side. */
  atan2: None
  /** Bitwise for integers, logical for bool. */
  and: None; or: None; xor: None
  /** The second operand is the count. A count below 0, or not below the dtype's width in bits, shifts every bit out. */
  shiftLeft: None
  /** Fills with zeros, for signed dtypes too. */
  shiftRightLogical: None
  /** Fills with copies of the top bit, for unsigned dtypes too. */
  shiftRightArithmetic: None
  /** bool results. Comparisons with NaN are false, except `ne`, which is true. 0 equals -0. */
  eq: None; ne: None; lt: None; le: None; gt: None; ge: None
  /** select(condition, onTrue, onFalse), element by element. ONNX Runtime may turn a chosen -0 into 0. */
  select: None

  // Shape: these move elements and keep each element's bits.

  broadcastInDim: { shape: readonly number[]; dims: readonly number[] }
  reshape: { shape: readonly number[] }
  transpose: { perm: readonly number[] }
  concatenate: { axis: number }
  /**
   * pad(operand, scalar). A negative low or high crops; interior is the number of padding elements between neighbors.
   */
  pad: { low: readonly number[]; high: readonly number[]; interior: readonly number[] }
  slice: { start: readonly number[]; limit: readonly number[]; strides: readonly number[] }
  rev: { axes: readonly number[] }
  /** Each element's index along the axis, rounded (floats) or wrapped (integers) to the dtype; not for bool. */
  iota: { dtype: DType; shape: readonly number[]; axis: number }
  /**
   * dynamicSlice(operand, ...starts): starts are int32 scalars, clamped to 0..size - window, so that the window fits.
   */
  dynamicSlice: { sizes: readonly number[] }
  /** dynamicUpdateSlice(operand, update, ...starts): starts as in dynamicSlice. */
  dynamicUpdateSlice: None

  // Reductions and scans along an axis.

  /** Over no elements: 0. The backend chooses the order in which floats are added. */
  reduceSum: ReduceParams
  /**
   * Over no elements: the least value of the dtype (-Infinity, false), or the greatest (Infinity, true). NaN if any
   * element is NaN.
   */
  reduceMax: ReduceParams; reduceMin: ReduceParams
  /** Over no elements: 1. */
  reduceProd: ReduceParams
  /** For bool only. Over no elements: true for reduceAnd, false for reduceOr. */
  reduceAnd: ReduceParams; reduceOr: ReduceParams
  /**
   * The index of the first greatest (least) element along the axis, int32. NaN counts as greater (less) than all other
   * values, so the first NaN wins. The axis may not be empty.
   */
  argmax: { axis: number }; argmin: { axis: number }
  /** Cumulative sums, from the end if `reverse`; not for bool. */
  cumsum: { axis: number; reverse: boolean }

  // Contraction, indexing, order.

  /** Integer sums are exact, then wrapped. Over no elements: 0. */
  dotGeneral: DotParams
  /** Index modes: see IndexMode. `drop` reads as `fill` does. */
  gather: GatherParams
  /**
   * If several updates have the same index, one of them is kept; the backend chooses which. `fill` writes as `drop`
   * does.
   */
  scatter: ScatterParams
  /** Adds every update, also several with the same index. The backend chooses the order. */
  scatterAdd: GatherParams
  /**
   * Sorts by the first operand along an axis, ascending and stable; the other operands are permuted alike. NaN is last;
   * 0 and -0 are equal and keep their order.
   */
  sort: { axis: number }
  /**
   * The k largest elements along the last axis, and their indices (int32). Equal elements (0 equals -0) keep their
   * order; NaN is largest. (Unlike XLA, where 0 precedes -0, and the sign of a NaN counts.)
   */
  topK: { k: number }
  /** threefry2x32(key0, key1, count0, count1), all uint32: two words of random bits, equal to JAX's. */
  threefry2x32: None

  // Primitives that carry programs.

  /**
   * Applies `program` to the operands. With `remat`, reverse mode stores only the operands and computes the rest again,
   * from the first `numLate` operands not before the cotangent of the results is known.
   */
  call: { name: string; program: Program; remat: boolean; numLate?: number }
  /**
   * As `call`, but a backend that has a faster kernel for `name` may run that instead of `program`; `attributes` are
   * the kernel's settings. `vjp` is a custom reverse-mode derivative. `jvp` is a custom derivative for both modes: a
   * program from the inputs and the tangents of the floating-point inputs to the outputs and the tangents of the
   * floating-point outputs, linear in the tangents. `ofGroup`: see GroupRule.
   */
  composite: {
    name: string; program: Program; attributes?: { readonly [name: string]: number }
    vjp?: VjpPrograms<Program>; jvp?: Program; ofGroup?: GroupRule<Program>
  }
  /**
   * linearCall(residuals, operands): applies `program`, which is linear in the operands. Its transposition is given by
   * the program `transpose`, from the residuals and the outputs' cotangents to the operands' cotangents. So a tangent
   * program carries a custom reverse-mode derivative.
   */
  linearCall: { name: string; program: Program; transpose: Program; numResiduals: number }
  /** A loop of `length` steps: see ScanParams. */
  scan: ScanParams<Program>
  /**
   * carry = body(carry) while condition(carry) is true. Operands: the condition's constants, the body's, then the
   * carry.
   */
  while: { condition: Program; body: Program; numConditionConsts: number; numBodyConsts: number }
  /** cond(index, ...operands): branches[index](operands), with the int32 index clamped to 0..branches - 1. */
  cond: { branches: readonly Program[] }

  // Several devices: see sharding.ts.

  /** The operand itself, laid out over the devices of a mesh like this. On one device it does nothing. */
  shardingConstraint: { sharding: NamedSharding }
  /**
   * Applies `body` on each device of a mesh. Along mesh axes that an operand's spec does not name, all devices get the
   * same part; along those that a result's spec does not name, all devices must have computed the same. One device
   * computes the parts of all devices: see transform/expand-shard-map.ts.
   */
  shardMap: ShardMapParams<Program>

  // Collectives: what devices along a mesh axis compute together. Only within a shardMap's body, or under a vmap with a
  // named axis, where examples take the place of devices. `dim` is a dimension of the operand.

  /** The sum of the operands of all devices along these axes, on each of them; see reduceSum. */
  psum: { axes: readonly MeshAxis[] }
  /** The operands of all devices, one after the other along `dim`, on each device. */
  allGather: { axis: MeshAxis; dim: number }
  /** The sum of the operands of all devices, split along `dim`: each device gets its part. */
  reduceScatter: { axis: MeshAxis; dim: number }
  /**
   * Each device splits its operand along `splitDim`, sends part i to device i, and puts the parts that it gets one
   * after the other along `concatDim`.
   */
  allToAll: { axis: MeshAxis; splitDim: number; concatDim: number }
  /** For each pair [from, to], device `to` gets the operand of device `from`; devices that get none have zeros. */
  ppermute: { axis: MeshAxis; permutation: readonly (readonly [from: number, to: number])[] }
  /** The number of the device along the axis, an int32 scalar. */
  axisIndex: { axis: MeshAxis }
}

export type PrimitiveName = keyof PrimitiveParamsOf<unknown>

// prettier-ignore
export const unaryPrimitives = [
  'neg', 'abs', 'sign', 'floor', 'ceil', 'round', 'exp', 'expm1', 'log', 'log1p', 'sqrt', 'rsqrt', 'sin', 'cos', 'tanh',
  'logistic', 'erf', 'erfInv', 'not', 'isFinite', 'stopGradient', 'optimizationBarrier',
] as const satisfies readonly PrimitiveName[]

// prettier-ignore
export const binaryPrimitives = [
  'add', 'sub', 'mul', 'div', 'rem', 'pow', 'max', 'min', 'atan2', 'and', 'or', 'xor', 'shiftLeft', 'shiftRightLogical',
  'shiftRightArithmetic',
] as const satisfies readonly PrimitiveName[]

export const comparePrimitives = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const satisfies readonly PrimitiveName[]

/** What devices compute together: these have a meaning within a program for several devices only. */
export const collectivePrimitives = [
  'psum',
  'allGather',
  'reduceScatter',
  'allToAll',
  'ppermute',
  'axisIndex',
] as const satisfies readonly PrimitiveName[]

export type CollectivePrimitive = (typeof collectivePrimitives)[number]
export type UnaryPrimitive = (typeof unaryPrimitives)[number]
export type BinaryPrimitive = (typeof binaryPrimitives)[number]
export type ComparePrimitive = (typeof comparePrimitives)[number]

const elementwiseNames: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>([
  ...unaryPrimitives,
  ...binaryPrimitives,
  ...comparePrimitives,
  'select',
  'convertElementType',
  'bitcastConvertType',
])

/** Whether each output element depends only on the operands' elements at the same index. */
export const isElementwise = (primitive: PrimitiveName): boolean => elementwiseNames.has(primitive)
