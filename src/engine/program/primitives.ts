import type { DType } from '../../base/dtypes.js'

/**
 * What an index out of bounds means. `clip`: it is moved to the nearest edge. `fill`: zero is read (JAX reads NaN of floats).
 * `drop`: a scatter leaves that update out. A negative index is out of bounds: counting from the end is done by np.
 */
export type IndexMode = 'clip' | 'fill' | 'drop'

type None = Record<string, never>

export interface ReduceParams {
  axes: readonly number[]
}

/** Contracted and batch axes of the two operands, as XLA's dot_general. Output: batch, left free, right free. */
export interface DotParams {
  contract: readonly [readonly number[], readonly number[]]
  batch: readonly [readonly number[], readonly number[]]
}

/**
 * gather(operand, indices): the first `batchDims` axes of both are batch axes; the last axis of `indices` holds one
 * index for each of `axes`. Output: batch, the other axes of indices, the remaining axes of the operand, in order.
 * scatter and scatterAdd (operand, indices, updates) write where gather reads.
 */
export interface GatherParams {
  axes: readonly number[]
  batchDims: number
  mode: IndexMode
}

export interface ScanParams<Program> {
  /** (consts, carry, x) -> (carry, y). */
  body: Program
  numConsts: number
  numCarry: number
  length: number
  reverse: boolean
}

/** A custom reverse-mode derivative of a composite. */
export interface VjpPrograms<Program> {
  /** inputs -> outputs, then residuals. */
  forward: Program
  /** residuals, cotangents of the outputs -> cotangents of the first inputs; the inputs after them have none. */
  backward: Program
}

/**
 * Every primitive and its parameters: the one list that all rule tables are mapped over. (The type of a program is a type
 * parameter, because program.ts imports this file.)
 *
 * The comments say what each primitive means at its corners; test/conformance checks it for every backend, dtype and position.
 * The meaning is XLA's, with the differences marked "unlike XLA". For all of them:
 * - Operands have one shape and one dtype: conversion and broadcasting are equations of their own. What a shape rule refuses
 *   (shapes.ts) is a ShapeError; whatever it accepts, every backend computes.
 * - float16 and bfloat16 are computed in float32 or better and rounded after each equation, to nearest, ties to even.
 * - Integers wrap: they keep the low bits of the exact result. int64 has all of its 64 bits.
 * - bool is computed with where XLA has a meaning for it: add, max, reduceSum, reduceMax, scatterAdd are or; mul, min, reduceProd, reduceMin are
 *   and; dotGeneral is an or of ands; comparisons have false below true.
 * - NaN in gives NaN out, whatever its position, except where a comment says otherwise. NaN payloads and signs are not kept.
 * - A zero keeps its sign, as IEEE 754 has it, except in `select`, `max`, `min` and what `simplify` drops (x + 0 is x).
 */
// prettier-ignore
export interface PrimitiveParamsOf<Program> {
  // Element-wise, one operand.

  /** Of unsigned integers: 2^bits - x. abs and neg of the least signed integer are that integer itself. */
  neg: None; abs: None
  /** -1, 0 or 1. sign(NaN) is NaN, sign(-0) is -0. */
  sign: None
  /** `round` goes to the nearest integer, ties to the even one: round(2.5) = 2, round(-0.5) = -0. */
  floor: None; ceil: None; round: None
  /**
   * Floats only. Out of a function's domain: NaN; log(0) = -Infinity, log1p(-1) = -Infinity, rsqrt(0) = Infinity,
   * rsqrt(-0) = -Infinity.
   */
  exp: None; expm1: None; log: None; log1p: None; sqrt: None; rsqrt: None
  sin: None; cos: None; tanh: None; logistic: None; erf: None
  /** The inverse of erf: erfInv(1) is Infinity, and NaN beyond. */
  erfInv: None
  /** Bitwise of integers, logical of bool. */
  not: None
  isFinite: None
  /** The operand itself. Its derivative is zero. */
  stopGradient: None
  /** The operand itself; simplification never merges or moves it (rematerialization rests on that). */
  optimizationBarrier: None
  /**
   * - Float to integer: the fraction is dropped; what is out of range becomes the nearest integer of the dtype; NaN becomes 0.
   * - Integer to a narrower integer: the low bits.
   * - To bool: everything but 0 is true, NaN too. From bool: 0 and 1.
   * - To a narrower float: rounded to nearest, ties to even, to infinity beyond its range.
   */
  convertElementType: { dtype: DType }
  /** The same bits as another dtype of the same width. A byte that becomes bool must be 0 or 1. */
  bitcastConvertType: { dtype: DType }

  // Element-wise, two operands of one shape and dtype.

  add: None; sub: None; mul: None
  /** Of integers: rounded towards 0; x / 0 is -1 (all bits set); the least integer / -1 is that integer. Never a trap. */
  div: None
  /**
   * The remainder with the sign of x, x - y trunc(x / y), exact. Of integers: x rem 0 is x, x rem -1 is 0. Of floats:
   * x rem 0 and Infinity rem y are NaN, x rem Infinity is x.
   */
  rem: None
  /**
   * Floats only. 1 to any power and anything to the power 0 are 1, NaN included; a negative number to a fraction is
   * NaN; pow(-1, Infinity) = 1.
   */
  pow: None
  /** NaN if either is NaN. Of 0 and -0, either one (XLA: max gives 0, min gives -0). */
  max: None; min: None
  /** The angle of the point (y, x) for atan2(y, x), from -pi to pi; the signs of zeros choose the side. */
  atan2: None
  /** Bitwise of integers, logical of bool. */
  and: None; or: None; xor: None
  /** The count is the second operand. A count below 0, or from the width of the dtype on, shifts every bit out. */
  shiftLeft: None
  /** Zeros come in, also for signed dtypes. */
  shiftRightLogical: None
  /** The top bit comes in, also for unsigned dtypes. */
  shiftRightArithmetic: None
  /** bool results. Every comparison with NaN is false, but for `ne`, which is true. 0 equals -0. */
  eq: None; ne: None; lt: None; le: None; gt: None; ge: None
  /** select(condition, onTrue, onFalse), element by element. ONNX Runtime may turn a chosen -0 into 0. */
  select: None

  // Shape: these move elements and keep their bits.

  broadcastInDim: { shape: readonly number[]; dims: readonly number[] }
  reshape: { shape: readonly number[] }
  transpose: { perm: readonly number[] }
  concatenate: { axis: number }
  /** pad(operand, scalar); negative low and high crop. */
  pad: { low: readonly number[]; high: readonly number[]; interior: readonly number[] }
  slice: { start: readonly number[]; limit: readonly number[]; strides: readonly number[] }
  rev: { axes: readonly number[] }
  /** Each element's position along the axis, rounded (floats) or wrapped (integers) to the dtype; not of bool. */
  iota: { dtype: DType; shape: readonly number[]; axis: number }
  /** dynamicSlice(operand, ...starts): starts are int32 scalars, clamped to 0..size - window, so that the window fits. */
  dynamicSlice: { sizes: readonly number[] }
  /** dynamicUpdateSlice(operand, update, ...starts): starts as in dynamicSlice. */
  dynamicUpdateSlice: None

  // Reductions and scans along an axis.

  /** Over nothing: 0. The order of a float sum is the backend's. */
  reduceSum: ReduceParams
  /**
   * Over nothing: the least value of the dtype (-Infinity, false), or the greatest (Infinity, true). NaN wherever
   * there is one.
   */
  reduceMax: ReduceParams; reduceMin: ReduceParams
  /** Over nothing: 1. */
  reduceProd: ReduceParams
  /** Of bool only. Over nothing: true, or false. */
  reduceAnd: ReduceParams; reduceOr: ReduceParams
  /**
   * The position of the first greatest (least) element, int32. NaN is greater (less) than everything, so the first NaN
   * is found. The axis is not empty.
   */
  argmax: { axis: number }; argmin: { axis: number }
  /** Running sums, from the end if `reverse`; not of bool. */
  cumsum: { axis: number; reverse: boolean }

  // Contraction, indexing, order.

  /** Integers are exact and wrap. Over nothing: 0. */
  dotGeneral: DotParams
  /** Index modes: see IndexMode. `drop` reads as `fill` does. */
  gather: GatherParams
  /** Of several updates of one element one is kept; which one is the backend's. `fill` writes as `drop` does. */
  scatter: GatherParams
  /** Every update is added, also of one element several times, in an order that is the backend's. */
  scatterAdd: GatherParams
  /**
   * Sorts all operands together along an axis, ascending and stable, by the first one. NaN is last; 0 and -0 are equal
   * and keep their order.
   */
  sort: { axis: number }
  /**
   * The k largest along the last axis, and their positions (int32). Among equals, 0 and -0 too, the earlier is first;
   * NaN is largest. (Unlike XLA, where 0 precedes -0, and NaN has a sign.)
   */
  topK: { k: number }
  /** threefry2x32(key0, key1, count0, count1), all uint32: two words of bits, equal to JAX's. */
  threefry2x32: None

  // Programs within programs.

  call: { name: string; program: Program; remat: boolean }
  /**
   * As call; a backend may compute the name in a faster way, and reads the numbers in `attributes`. With `vjp` it has its
   * own reverse-mode derivative. With `jvp` it has its own derivative in both modes: a program from the inputs and the
   * tangents of the floating-point inputs to the outputs and the tangents of the floating-point outputs, linear in the tangents.
   */
  composite: {
    name: string; program: Program; attributes?: { readonly [name: string]: number }
    vjp?: VjpPrograms<Program>; jvp?: Program
  }
  /**
   * linearCall(residuals, operands): `program`, which is linear in the operands. Run backwards it is `transpose`, of
   * (residuals, cotangents of the outputs): a custom derivative within a tangent program.
   */
  linearCall: { name: string; program: Program; transpose: Program; numResiduals: number }
  /** A loop of `length` steps: see ScanParams. */
  scan: ScanParams<Program>
  /** Repeats `body` on the carry while `condition` of it is true. */
  while: { condition: Program; body: Program; numConditionConsts: number; numBodyConsts: number }
  /** cond(index, ...operands): branches[index](operands), with the int32 index clamped to 0..branches - 1. */
  cond: { branches: readonly Program[] }
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

/** Whether each output element depends on the operands' elements at the same place alone. */
export const isElementwise = (primitive: PrimitiveName): boolean => elementwiseNames.has(primitive)
