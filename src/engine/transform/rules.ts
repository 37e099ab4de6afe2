/**
 * The types of the rule tables. In the rules, primals are the operands' values, `dots` their tangents (as in x-dot) and
 * `cts` cotangents. Rules of primitives that carry programs get the transformation itself as an argument, since
 * importing it would be a cycle.
 */
import type { Aval } from '../program/aval.js'
import type { PrimitiveName } from '../program/primitives.js'
import type { Equation, PrimitiveParams, Program } from '../program/program.js'
import type { Value } from '../program/value.js'

/** A tangent, or null for one that is known to be zero. */
export type Tangent = Value | null

/** Values with their tangents, as two parallel lists. */
export type Duals = [primals: Value[], tangents: Tangent[]]

/** From operands and their tangents, at least one of which is not null, to outputs and their tangents. */
export type JvpRule<P extends PrimitiveName> = (
  primals: readonly Value[],
  tangents: readonly Tangent[],
  params: PrimitiveParams[P],
) => Duals

/** The type of `jvpEval` (jvp.ts). */
export type JvpEval = (program: Program, primals: readonly Value[], tangents: readonly Tangent[]) => Duals

/** An operand of an equation that is transposed: a known value, or the type of an operand that gets a cotangent. */
export type LinearOperand = { known: Value } | { linear: Aval }

/** A cotangent, or null for one that is known to be zero. */
export type Cotangent = Value | null

/** From the cotangent of the only output to the operands' cotangents. */
export type TransposeRule<P extends PrimitiveName> = (
  cotangent: Value,
  operands: readonly LinearOperand[],
  params: PrimitiveParams[P],
) => Cotangent[]

/** From the outputs' cotangents, at least one of which is not null, to the operands' cotangents. */
export type ProgramTransposeRule<P extends PrimitiveName> = (
  cotangents: readonly Cotangent[],
  operands: readonly LinearOperand[],
  params: PrimitiveParams[P],
) => Cotangent[]

/** The type of `transposeEval` (transpose.ts). */
export type TransposeEval = (
  program: Program,
  inputs: readonly (Value | null)[],
  cotangents: readonly Cotangent[],
) => Cotangent[]

/** A value, and whether it is mapped. Axis 0 of a mapped value is the batch. */
export interface Batched {
  value: Value
  batched: boolean
}

/** The axis of a batch: the number of examples, and the name by which collectives refer to it, if it has one. */
export interface BatchAxis {
  readonly size: number
  readonly name?: string
}

/** From operands, at least one of which is mapped unless the equation names the axis, to outputs. */
export type BatchRule<P extends PrimitiveName> = (
  inputs: readonly Batched[],
  params: PrimitiveParams[P],
  axis: BatchAxis,
) => Batched[]

/** The type of `batchProgram` (vmap.ts). */
export type BatchProgram = (
  program: Program,
  axis: BatchAxis,
  batched: readonly boolean[],
  alwaysMapped?: readonly boolean[],
) => { program: Program; batched: boolean[] }

/** A program in two parts: the computations that depend on known inputs only, and the rest. */
export interface Split {
  /** known inputs -> known outputs, then residuals. */
  known: Program
  /** residuals, then unknown inputs -> unknown outputs. */
  unknown: Program
  numResiduals: number
  unknownOutputs: boolean[]
}

/** The type of `split` (split.ts). */
export type SplitProgram = (program: Program, unknownInputs: readonly boolean[], wanted?: readonly boolean[]) => Split

/**
 * An equation in two parts: `known` computes its known outputs and the residuals, `unknown` its unknown outputs (null:
 * none).
 */
export interface SplitEquation {
  known: readonly Equation[]
  unknown: Equation | null
}
