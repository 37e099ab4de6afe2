import { dtypes, isFloat } from '../../../../base/dtypes.js'
import type { DType } from '../../../../base/dtypes.js'
import { sizeOf } from '../../../../base/tensor.js'
import { range } from '../../../program/ops.js'
import type { Lowered } from '../graph.js'
import { Formula } from './elementwise.js'
import type { Lowering, LoweringContext } from './rule.js'

type Reduction = 'reduceSum' | 'reduceMax' | 'reduceMin' | 'reduceProd'
type Logical = 'reduceAnd' | 'reduceOr'

/** What every reduction does alike: along no axis it is the operand, over no elements its neutral value. */
const reduction = <P extends Reduction | Logical>(neutral: (dtype: DType) => number | bigint, rule: Lowering<P>): Lowering<P> => (context, [x], params) => {
  const { g, ins: [a], outs: [out] } = context
  const axes: readonly number[] = params.axes
  if (axes.length === 0) return [x]
  if (axes.some(axis => a.shape[axis] === 0)) {
    const value = neutral(out.dtype)
    const data = typeof value === 'bigint' ? new BigInt64Array([value]) : undefined
    return [g.expand(data ? g.constant({ dtype: out.dtype, shape: [], data }) : g.scalar(out.dtype, Number(value)), out.shape)]
  }
  return rule(context, [g.expand(x, a.shape)], params)
}

/** The least value of a type (to find a maximum), or the greatest. */
const bound = (sign: 1 | -1) => (dtype: DType): number | bigint => {
  if (isFloat(dtype)) return sign * -Infinity
  const bits = BigInt(8 * dtypes[dtype].bytes)
  const value = sign === 1 ? -(2n ** (bits - 1n)) : 2n ** (bits - 1n) - 1n
  return dtype === 'int64' ? value : Number(value)
}

const node = (op: string): Lowering<Reduction> => ({ g, outs: [out] }, [x], { axes }) =>
  [g.node(op, [x, g.ints(axes)], out.dtype, out.shape, { keepdims: 0 })]

/** A sum of squares is one pass over memory, without the squares in between. */
const sumOfFloats: Lowering<Reduction> = (context, [x], params) => {
  const maker = context.g.madeBy(x)
  const isSquare = maker?.op === 'Mul' && maker.inputs[0] === maker.inputs[1]
  return isSquare ? node('ReduceSumSquare')(context, [{ ...x, name: maker.inputs[0] }], params) : node('ReduceSum')(context, [x], params)
}

/** int64 is added in double precision by ONNX Runtime: its halves are added apart, each exactly. */
const sum: Lowering<Reduction> = (context, [x], params) => {
  const { g, outs: [out] } = context
  if (out.dtype !== 'int64') return sumOfFloats(context, [x], params)
  const f = new Formula(g)
  const low = f.op('BitwiseAnd', x, g.scalar('int64', 2 ** 32 - 1))
  const high = f.op('Div', f.op('Sub', x, low), g.scalar('int64', 2 ** 32))
  const [sumOfLow, sumOfHigh] = [low, high].map(part => node('ReduceSum')(context, [part], params)[0])
  return [f.op('Add', f.op('Mul', sumOfHigh, g.scalar('int64', 2 ** 32)), sumOfLow)]
}

/** Integer products wrap: halves are multiplied until one row is left. */
const product: Lowering<Reduction> = (context, [x], params) => {
  const { g, outs: [out] } = context
  if (isFloat(out.dtype)) return node('ReduceProd')(context, [x], params)
  const f = new Formula(g)
  let { value, rows, width } = rowsFirst(context, x, params.axes)
  while (rows > 1) {
    const half = Math.floor(rows / 2)
    const part = (from: number, to: number): Lowered => g.node('Slice', [value, g.ints([from]), g.ints([to]), g.ints([0])], out.dtype, [to - from, width])
    const multiplied = f.op('Mul', part(0, half), part(half, 2 * half))
    value = rows % 2 === 0 ? multiplied : g.node('Concat', [multiplied, part(2 * half, rows)], out.dtype, [half + 1, width], { axis: 0 })
    rows = half + (rows % 2)
  }
  return [g.reshape(value, out.shape)]
}

/** ReduceMax and ReduceMin compare the low halves of int64 alone in ONNX Runtime 1.30; TopK is right. */
const best = (op: string, largest: 0 | 1): Lowering<Reduction> => (context, [x], params) => {
  const { g, outs: [out] } = context
  if (out.dtype !== 'int64') return node(op)(context, [x], params)
  const { value, width } = rowsFirst(context, x, params.axes)
  const [top] = g.several('TopK', [value, g.ints([1])], [{ dtype: 'int64', shape: [1, width] }, { dtype: 'int64', shape: [1, width] }], { axis: 0, largest })
  return [g.reshape(top, out.shape)]
}

/** [reduced elements, kept elements]. */
function rowsFirst({ g, ins: [a] }: LoweringContext, x: Lowered, axes: readonly number[]): { value: Lowered; rows: number; width: number } {
  const kept = a.shape.map((_, i) => i).filter(i => !axes.includes(i))
  const [rows, width] = [axes, kept].map(list => sizeOf(list.map(i => a.shape[i])))
  return { value: g.reshape(g.transpose(x, [...axes, ...kept]), [rows, width]), rows, width }
}

const logical = (op: string): Lowering<Logical> => ({ g, outs: [out] }, [x], { axes }) =>
  [g.cast(g.node(op, [g.cast(x, 'int32'), g.ints(axes)], 'int32', out.shape, { keepdims: 0 }), 'bool')]

/** The first NaN where there is one, as in NumPy. ONNX's order of NaN is not defined, so rows with one are asked again. */
const argBest = (op: string): Lowering<'argmax' | 'argmin'> => ({ g, ins: [a], outs: [out] }, [operand], { axis }) => {
  const x = g.expand(operand, a.shape)
  const at = (name: string, v: Lowered): Lowered => g.node(name, [v], 'int64', out.shape, { axis, keepdims: 0 })
  const best = at(op, x)
  if (!isFloat(a.dtype)) return [g.cast(best, 'int32')]
  const f = new Formula(g)
  // A sum is NaN if an element is (or two infinities cancel, where asking again does no harm).
  const sum = g.node('ReduceSum', [x, g.ints(range(a.shape.length))], a.dtype, [], { keepdims: 0 })
  const again = g.several('If', [f.test('IsNaN', sum)], [{ dtype: 'int64', shape: out.shape }], {
    then_branch: g.body([], b => {
      const nan = b.cast(new Formula(b).test('IsNaN', x), 'int32')
      const any = b.cast(b.node('ReduceMax', [nan, b.ints([axis])], 'int32', out.shape, { keepdims: 0 }), 'bool')
      return [new Formula(b).where(any, b.node('ArgMax', [nan], 'int64', out.shape, { axis, keepdims: 0 }), best)]
    }),
    else_branch: g.body([], () => [best]),
  })
  return [g.cast(again[0], 'int32')]
}

export const reduceRules = {
  reduceSum: reduction(() => 0, sum), reduceProd: reduction(() => 1, product),
  reduceMax: reduction(bound(1), best('ReduceMax', 1)), reduceMin: reduction(bound(-1), best('ReduceMin', 0)),
  reduceAnd: reduction(() => 1, logical('ReduceMin')), reduceOr: reduction(() => 0, logical('ReduceMax')),
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
