import type { DType } from '../../../../base/dtypes.js'
import type { Aval } from '../../../program/aval.js'
import type { PrimitiveName } from '../../../program/primitives.js'
import type { PrimitiveParams, Program } from '../../../program/program.js'
import type { GraphWriter, Lowered } from '../graph.js'

/** What a rule may use besides its operands. */
export interface LoweringContext {
  g: GraphWriter
  /** Types of the operands and results as the program has them; a `Lowered` may still be unbroadcast. */
  ins: readonly Aval[]
  outs: readonly Aval[]
  /** The dtype of the first result in the program, where `outs` has the wider one that the rule computes in. */
  resultDType: DType
  /** Writes a subprogram into a graph (this one, or the body of a node); its outputs are whole. */
  inline(g: GraphWriter, program: Program, inputs: readonly Lowered[]): Lowered[]
}

/** Writes the nodes of one equation and returns its results. */
export type Lowering<P extends PrimitiveName> = (
  context: LoweringContext,
  inputs: readonly Lowered[],
  params: PrimitiveParams[P],
) => Lowered[]

/** The operands with every axis at its full length. */
export const wholeOf = ({ g, ins }: Pick<LoweringContext, 'g' | 'ins'>, inputs: readonly Lowered[]): Lowered[] =>
  inputs.map((x, i) => g.expand(x, ins[i].shape))

/** The shape that unbroadcast operands of an element-wise operation have together. */
export function joined(...inputs: readonly Lowered[]): number[] {
  const rank = Math.max(...inputs.map(x => x.shape.length))
  return Array.from({ length: rank }, (_, i) => {
    const sizes = inputs.map(x => x.shape[x.shape.length - rank + i] ?? 1)
    return sizes.includes(0) ? 0 : Math.max(...sizes)
  })
}
