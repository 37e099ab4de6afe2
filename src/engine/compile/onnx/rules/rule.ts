import type { DType } from '../../../../base/dtypes.js'
import type { Aval } from '../../../program/aval.js'
import type { PrimitiveName } from '../../../program/primitives.js'
import type { PrimitiveParams, Program } from '../../../program/program.js'
import type { GraphWriter, Lowered } from '../graph.js'

/** What a lowering rule gets besides its operands and parameters. */
export interface LoweringContext {
  g: GraphWriter
  /**
   * Types of the operands and the results: shapes as in the program (a `Lowered` may still have axes of length 1
   * instead), dtypes widened if ONNX Runtime cannot compute in the program's (see `computedAs`).
   */
  ins: readonly Aval[]
  outs: readonly Aval[]
  /** The dtype of the first result in the program, before widening. */
  resultDType: DType
  /**
   * Writes a subprogram into a graph, `context.g` or the body of a node; returns its outputs, broadcast to their full
   * shapes.
   */
  inline(g: GraphWriter, program: Program, inputs: readonly Lowered[]): Lowered[]
}

/** Writes the nodes of one equation and returns its results. */
export type Lowering<P extends PrimitiveName> = (
  context: LoweringContext,
  inputs: readonly Lowered[],
  params: PrimitiveParams[P],
) => Lowered[]

/** The operands, broadcast to their full shapes. */
export const expanded = ({ g, ins }: Pick<LoweringContext, 'g' | 'ins'>, inputs: readonly Lowered[]): Lowered[] =>
  inputs.map((x, i) => g.expand(x, ins[i].shape))

/** The shape to which an element-wise operation broadcasts its operands. */
export function broadcastShape(...inputs: readonly Lowered[]): number[] {
  const rank = Math.max(...inputs.map(x => x.shape.length))
  return Array.from({ length: rank }, (_, i) => {
    const sizes = inputs.map(x => x.shape[x.shape.length - rank + i] ?? 1)
    return sizes.includes(0) ? 0 : Math.max(...sizes)
  })
}
