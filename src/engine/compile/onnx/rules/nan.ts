import { range } from '../../../program/ops.js'
import type { GraphWriter, Lowered } from '../graph.js'
import { Formula } from './formula.js'
import type { LoweringContext } from './rule.js'

/**
 * An `If` between two graphs: `plain` ignores that ONNX does not define comparisons with NaN; `careful`, which is
 * slower, handles NaN, and runs only if the sum of all elements is NaN. (The sum is also NaN for opposite infinities;
 * `careful` is right for them.)
 */
export function unlessNaN(
  { g }: Pick<LoweringContext, 'g'>,
  x: Lowered,
  outputs: readonly Omit<Lowered, 'name'>[],
  plain: (g: GraphWriter) => Lowered[],
  careful: (g: GraphWriter) => Lowered[],
): Lowered[] {
  if (x.dtype !== 'float32') return plain(g)
  const sum = g.node('ReduceSum', [x, g.ints(range(x.shape.length))], x.dtype, [], { keepdims: 0 })
  return g.several('If', [new Formula(g).test('IsNaN', sum)], outputs, {
    then_branch: g.body([], careful),
    else_branch: g.body([], plain),
  })
}

/** 1 where an element is NaN, else 0, as int32: ONNX Runtime reduces and sorts these. */
export const isNaN = (g: GraphWriter, x: Lowered): Lowered => g.cast(new Formula(g).test('IsNaN', x), 'int32')
