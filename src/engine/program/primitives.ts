import type { DType } from '../../base/dtypes.js'

/** What an index out of bounds means: moved to the edge, read as zero, or (scatters) left out. */
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

// prettier-ignore
/**
 * Every primitive and its parameters: the one list that all rule tables are mapped over. The type of a program is a
 * parameter, so that this file does not import `program.ts`, which imports this one.
 */
export interface PrimitiveParamsOf<Program> {
  // element-wise, one operand
  neg: None; abs: None; sign: None; floor: None; ceil: None; round: None
  exp: None; expm1: None; log: None; log1p: None; sqrt: None; rsqrt: None
  sin: None; cos: None; tanh: None; logistic: None; erf: None; erfInv: None
  not: None; isFinite: None; stopGradient: None
  /** The operand itself; simplification never merges or moves it (rematerialization rests on that). */
  optimizationBarrier: None
  convertElementType: { dtype: DType }
  bitcastConvertType: { dtype: DType }
  // element-wise, two operands of one shape and dtype
  add: None; sub: None; mul: None; div: None; rem: None; pow: None; max: None; min: None; atan2: None
  and: None; or: None; xor: None
  shiftLeft: None; shiftRightLogical: None; shiftRightArithmetic: None
  eq: None; ne: None; lt: None; le: None; gt: None; ge: None
  /** select(condition, onTrue, onFalse). */
  select: None
  // shape
  broadcastInDim: { shape: readonly number[]; dims: readonly number[] }
  reshape: { shape: readonly number[] }
  transpose: { perm: readonly number[] }
  concatenate: { axis: number }
  /** pad(operand, scalar); negative low and high crop. */
  pad: { low: readonly number[]; high: readonly number[]; interior: readonly number[] }
  slice: { start: readonly number[]; limit: readonly number[]; strides: readonly number[] }
  rev: { axes: readonly number[] }
  iota: { dtype: DType; shape: readonly number[]; axis: number }
  /** dynamicSlice(operand, ...starts): starts are int32 scalars, clamped so that the window fits. */
  dynamicSlice: { sizes: readonly number[] }
  dynamicUpdateSlice: None
  // reductions and scans along an axis
  reduceSum: ReduceParams; reduceMax: ReduceParams; reduceMin: ReduceParams; reduceProd: ReduceParams
  reduceAnd: ReduceParams; reduceOr: ReduceParams
  argmax: { axis: number }
  argmin: { axis: number }
  cumsum: { axis: number; reverse: boolean }
  // contraction, indexing, order
  dotGeneral: DotParams
  gather: GatherParams
  scatter: GatherParams
  scatterAdd: GatherParams
  /** Sorts all operands together along an axis, ascending and stable, by the first one. */
  sort: { axis: number }
  /** The k largest along the last axis, and their indices (int32). */
  topK: { k: number }
  /** threefry2x32(key0, key1, count0, count1): two words of bits. */
  threefry2x32: None
  // programs within programs
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
   * (residuals, cotangents of the outputs): how a custom derivative stands in a tangent program.
   */
  linearCall: { name: string; program: Program; transpose: Program; numResiduals: number }
  scan: ScanParams<Program>
  while: { condition: Program; body: Program; numConditionConsts: number; numBodyConsts: number }
  /** cond(index, ...operands): branches[index](operands). */
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
