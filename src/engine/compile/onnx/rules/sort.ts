import { sizeOf } from '../../../../base/host-tensor.js'
import type { GraphWriter, Lowered } from '../graph.js'
import { unlessEmpty } from './empty.js'
import { Formula } from './formula.js'
import { areIndices } from './indexing.js'
import { isNaN, unlessNaN } from './nan.js'
import { expanded } from './rule.js'
import type { Lowering, LoweringContext } from './rule.js'

/**
 * The indices of the k smallest (or largest) elements along an axis, in order. Equal elements keep their order; NaN is
 * largest.
 */
function indicesInOrder(
  context: Pick<LoweringContext, 'g'>,
  x: Lowered,
  axis: number,
  k: number,
  largest: 0 | 1,
): Lowered {
  const shape = x.shape.map((d, i) => (i === axis ? k : d))
  const order = (b: GraphWriter, v: Lowered, count: number): Lowered => {
    const result = { shape: v.shape.map((d, i) => (i === axis ? count : d)) }
    return b.several(
      'TopK',
      [v, b.ints([count])],
      [
        { dtype: v.dtype, ...result },
        { dtype: 'int64', ...result },
      ],
      { axis, largest },
    )[1]
  }
  const pick = (b: GraphWriter, v: Lowered, at: Lowered): Lowered =>
    b.node('GatherElements', [v, at], v.dtype, at.shape, { axis })
  const outputs = [{ dtype: 'int64' as const, shape }]
  // Sorts by value, with NaN as infinity, then by whether the element is NaN, which keeps the order of equals.
  const careful = (b: GraphWriter): Lowered => {
    const nan = isNaN(b, x)
    const byValue = order(b, new Formula(b).where(b.cast(nan, 'bool'), b.scalar('float32', Infinity), x), x.shape[axis])
    return pick(b, byValue, order(b, pick(b, nan, byValue), k))
  }
  const [positions] = unlessEmpty(context, x, outputs, b =>
    unlessNaN(
      { g: b },
      x,
      outputs,
      c => [order(c, x, k)],
      c => [careful(c)],
    ),
  )
  return context.g.bounded(positions, x.shape[axis])
}

/**
 * Sorts by the first operand. An operand of indices 0, 1, ... is replaced by the sorted order itself, without a gather.
 */
export const sort: Lowering<'sort'> = (context, inputs, { axis }) => {
  const { g, ins } = context
  const operands = expanded(context, inputs)
  if (sizeOf(ins[0].shape) === 0) return operands
  const positions = indicesInOrder(context, operands[0], axis, ins[0].shape[axis], 0)
  return operands.map((x, i) =>
    areIndices(g, inputs[i], axis)
      ? g.cast(positions, x.dtype)
      : g.node('GatherElements', [x, positions], x.dtype, x.shape, { axis }),
  )
}

export const topK: Lowering<'topK'> = (context, [operand], { k }) => {
  const {
    g,
    ins: [a],
    outs,
  } = context
  const axis = a.shape.length - 1
  if (sizeOf(outs[0].shape) === 0) return outs.map(o => g.expand(g.cast(g.scalar('int32', 0), o.dtype), o.shape))
  const x = g.expand(operand, a.shape)
  const positions = indicesInOrder(context, x, axis, k, 1)
  return [g.node('GatherElements', [x, positions], x.dtype, outs[0].shape, { axis }), g.cast(positions, 'int32')]
}
