import type { DType } from '../../../../base/dtypes.js'
import { hostScalar } from '../../../../base/host-tensor.js'
import type { GraphWriter, Lowered } from '../graph.js'
import type { LoweringContext } from './rule.js'

/**
 * What `write` makes of `x`; if `x` is empty, arrays of `otherwise`. ONNX Runtime 1.30's TopK, ArgMax and ArgMin divide
 * by a length that is 0 then, which ends the process, and GatherND fails. Only a graph for all sizes can meet that:
 * rules for one size know the lengths.
 */
export function unlessEmpty(
  { g }: Pick<LoweringContext, 'g'>,
  x: Lowered,
  outputs: readonly Omit<Lowered, 'name'>[],
  write: (g: GraphWriter) => Lowered[],
  otherwise: number | bigint = 0,
): Lowered[] {
  if (!g.servesAllSizes) return write(g)
  // Size does not take bfloat16.
  const count =
    x.dtype === 'bfloat16'
      ? g.node('ReduceProd', [g.node('Shape', [x], 'int64', [x.shape.length])], 'int64', [], { keepdims: 0 })
      : g.node('Size', [x], 'int64', [])
  return g.several('If', [g.cast(count, 'bool')], outputs, {
    then_branch: g.body([], write),
    else_branch: g.body([], b =>
      outputs.map(o => b.expand(b.constant(hostScalar(o.dtype as DType, otherwise)), o.shape)),
    ),
  })
}
