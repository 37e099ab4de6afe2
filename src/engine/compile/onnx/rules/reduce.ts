import type { Lowering } from './rule.js'

type Reduction = 'reduceSum' | 'reduceMax' | 'reduceMin' | 'reduceProd'

const reduce = (op: string): Lowering<Reduction> => ({ g, ins: [a], outs: [out] }, [x], { axes }) =>
  [g.node(op, [g.expand(x, a.shape), g.ints(axes)], out.dtype, out.shape, { keepdims: 0 })]

const reduceBool = (op: string): Lowering<'reduceAnd' | 'reduceOr'> => ({ g, ins: [a], outs: [out] }, [x], { axes }) => {
  const asInt = g.cast(g.expand(x, a.shape), 'int32')
  return [g.cast(g.node(op, [asInt, g.ints(axes)], 'int32', out.shape, { keepdims: 0 }), 'bool')]
}

const argBest = (op: string): Lowering<'argmax' | 'argmin'> => ({ g, ins: [a], outs: [out] }, [x], { axis }) =>
  [g.cast(g.node(op, [g.expand(x, a.shape)], 'int64', out.shape, { axis, keepdims: 0 }), 'int32')]

export const reduceRules = {
  reduceSum: reduce('ReduceSum'), reduceMax: reduce('ReduceMax'), reduceMin: reduce('ReduceMin'), reduceProd: reduce('ReduceProd'),
  reduceAnd: reduceBool('ReduceMin'), reduceOr: reduceBool('ReduceMax'),
  argmax: argBest('ArgMax'), argmin: argBest('ArgMin'),
}

export const cumsum: Lowering<'cumsum'> = ({ g, ins: [a], outs: [out] }, [x], { axis, reverse }) =>
  [g.node('CumSum', [g.expand(x, a.shape), g.scalar('int64', axis)], out.dtype, out.shape, { reverse: Number(reverse) })]

/** All operands in the order of the first: TopK of everything, whose ties keep their order. */
export const sort: Lowering<'sort'> = ({ g, ins, outs }, inputs, { axis }) => {
  const n = ins[0].shape[axis]
  const [first, ...rest] = inputs.map((x, i) => g.expand(x, ins[i].shape))
  const [values, order] = g.several('TopK', [first, g.ints([n])], [outs[0], { dtype: 'int64', shape: outs[0].shape }], { axis, largest: 0 })
  return [values, ...rest.map((x, i) => g.node('GatherElements', [x, order], x.dtype, outs[i + 1].shape, { axis }))]
}

export const topK: Lowering<'topK'> = ({ g, ins: [a], outs }, [x], { k }) => {
  const [values, indices] = g.several('TopK', [g.expand(x, a.shape), g.ints([k])], [outs[0], { dtype: 'int64', shape: outs[1].shape }], { axis: -1 })
  return [values, g.cast(indices, 'int32')]
}
