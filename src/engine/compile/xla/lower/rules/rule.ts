import type { Aval } from '../../../../program/aval.js'
import type { PrimitiveName } from '../../../../program/primitives.js'
import type { PrimitiveParams } from '../../../../program/program.js'
import type { ModuleWriter } from '../module.js'
import type { BlockWriter, Lowered } from '../writer.js'

/** What a lowering rule gets besides its operands and parameters. */
export interface LoweringContext {
  /** Where the operations go. */
  readonly block: BlockWriter
  /** Writes functions, and the equations of subprograms. */
  readonly module: ModuleWriter
  /** The types of the results. */
  readonly outs: readonly Aval[]
}

/** Writes the operations of one equation and returns its results. */
export type Lowering<P extends PrimitiveName> = (
  context: LoweringContext,
  inputs: readonly Lowered[],
  params: PrimitiveParams[P],
) => readonly Lowered[]

/** A part of the table of lowering rules. */
export type Lowerings = { readonly [P in PrimitiveName]?: Lowering<P> }
