import { extremeOf, isFloat } from '../../../../base/dtypes.js'
import type { DType } from '../../../../base/dtypes.js'
import { hostScalar, sizeOf } from '../../../../base/host-tensor.js'
import type { GraphWriter, Lowered } from '../graph.js'
import { unlessEmpty } from './empty.js'
import { Formula } from './formula.js'
import { isNaN, unlessNaN } from './nan.js'
import type { Lowering, LoweringContext } from './rule.js'

type Reduction = 'reduceSum' | 'reduceMax' | 'reduceMin' | 'reduceProd'
type Logical = 'reduceAnd' | 'reduceOr'

/** A reduction with its edge cases: along no axes it returns the operand, over no elements the neutral value. */
const reduction =
  <P extends Reduction | Logical>(neutral: (dtype: DType) => number | bigint, rule: Lowering<P>): Lowering<P> =>
  (context, [x], params) => {
    const {
      g,
      ins: [a],
      outs: [out],
    } = context
    const axes: readonly number[] = params.axes
    if (axes.length === 0) return [x]
    if (axes.some(axis => a.shape[axis] === 0)) {
      return [g.expand(g.constant(hostScalar(out.dtype, neutral(context.resultDType))), out.shape)]
    }
    return rule(context, [g.expand(x, a.shape)], params)
  }

const node =
  (op: string): Lowering<Reduction> =>
  ({ g, outs: [out] }, [x], { axes }) => [g.node(op, [x, g.ints(axes)], out.dtype, out.shape, { keepdims: 0 })]

/**
 * A sum of squares is one node, ReduceSumSquare, which does not store the squares, or a batch of dot products. Both add
 * in another order than ReduceSum, so `np.var` inside `jit` differs from the same call outside in the last bits.
 */
const sumOfFloats: Lowering<Reduction> = (context, [x], params) => {
  const maker = context.g.madeBy(x)
  const isSquare = maker?.op === 'Mul' && maker.inputs[0] === maker.inputs[1]
  if (!isSquare) return node('ReduceSum')(context, [x], params)
  const root = { ...x, name: maker.inputs[0] }
  const isLarge = sizeOf(x.shape) >= 4 * DOT_LENGTH && sizeOf(x.shape) % DOT_LENGTH === 0
  return isLarge && context.outs[0].shape.length === 0 && x.dtype === 'float32'
    ? [sumOfManySquares(context.g, root)]
    : node('ReduceSumSquare')(context, [root], params)
}

const DOT_LENGTH = 2 ** 14

/**
 * The sum of the squares of all elements of a large array, such as a gradient for its norm, from a batch of dot
 * products. All threads share the batch, and the result does not depend on their number. ReduceSumSquare uses one
 * thread, and loses digits: its relative error for 2 million elements is 5e-5, this function's is 1e-7.
 */
function sumOfManySquares(g: GraphWriter, x: Lowered): Lowered {
  const count = sizeOf(x.shape) / DOT_LENGTH
  const parts = g.reshape(x, [count, 1, DOT_LENGTH])
  const attributes = { transA: 0, transB: 1 }
  const sums = g.node('FusedMatMul', [parts, parts], x.dtype, [count, 1, 1], attributes, 'com.microsoft')
  return g.node('ReduceSum', [sums, g.ints([0, 1, 2])], x.dtype, [], { keepdims: 0 })
}

/** The largest sum that is exact in double precision. */
const EXACT_SUM = 2 ** 53

/**
 * ONNX Runtime adds int64 in double precision, so the low and high 32 bits are summed separately, each exactly. Sums
 * that stay small need no such care: of elements with a known bound, such as booleans, and of not too many int32, which
 * are summed as int64.
 */
const sum: Lowering<Reduction> = (context, [x], params) => {
  const {
    g,
    ins: [a],
    outs: [out],
    resultDType,
  } = context
  if (out.dtype !== 'int64') return sumOfFloats(context, [x], params)
  const count = sizeOf(params.axes.map(axis => a.shape[axis]))
  const bound = g.boundOf(x) ?? (resultDType === 'int32' ? 2 ** 31 : Infinity)
  if (count * bound <= EXACT_SUM) return node('ReduceSum')(context, [x], params)
  const f = new Formula(g)
  const low = f.op('BitwiseAnd', x, g.scalar('int64', 2 ** 32 - 1))
  const high = f.op('Div', f.op('Sub', x, low), g.scalar('int64', 2 ** 32))
  const [sumOfLow, sumOfHigh] = [low, high].map(part => node('ReduceSum')(context, [part], params)[0])
  return [f.op('Add', f.op('Mul', sumOfHigh, g.scalar('int64', 2 ** 32)), sumOfLow)]
}

/**
 * Integer products, which must wrap: the first half of the rows is multiplied by the second half until one row is left.
 */
const product: Lowering<Reduction> = (context, [x], params) => {
  const {
    g,
    outs: [out],
  } = context
  if (isFloat(out.dtype)) return node('ReduceProd')(context, [x], params)
  const f = new Formula(g)
  let { value, rows, width } = asRows(context, x, params.axes)
  while (rows > 1) {
    const half = Math.floor(rows / 2)
    const part = (from: number, to: number): Lowered =>
      g.node('Slice', [value, g.ints([from]), g.ints([to]), g.ints([0])], out.dtype, [to - from, width])
    const multiplied = f.op('Mul', part(0, half), part(half, 2 * half))
    value =
      rows % 2 === 0
        ? multiplied
        : g.node('Concat', [multiplied, part(2 * half, rows)], out.dtype, [half + 1, width], { axis: 0 })
    rows = half + (rows % 2)
  }
  return [g.reshape(value, out.shape)]
}

/**
 * ONNX Runtime 1.30's ReduceMax and ReduceMin ignore a NaN at some positions, and compare only the low 32 bits of
 * int64. So floats are summed too, which shows whether there is a NaN (see `unlessNaN`) and takes no longer than the
 * maximum. int64 uses TopK.
 */
const best =
  (op: string, largest: 0 | 1): Lowering<Reduction> =>
  (context, [x], params) => {
    const {
      outs: [out],
      resultDType,
    } = context
    const neutral = extremeOf(resultDType, largest ? 'least' : 'greatest')
    const plain = (b: GraphWriter): Lowered => node(op)({ ...context, g: b }, [x], params)[0]
    const careful = (b: GraphWriter): Lowered => {
      const ofRow = b.node('ReduceMax', [isNaN(b, x), b.ints(params.axes)], 'int32', out.shape, { keepdims: 0 })
      const f = new Formula(b)
      return f.where(b.cast(ofRow, 'bool'), f.constant(x, NaN), plain(b))
    }
    if (resultDType !== out.dtype && out.dtype === 'int32')
      // Of no elements, ONNX Runtime gives the extreme of the wider type.
      return unlessEmpty(context, x, [out], b => [plain(b)], neutral)
    if (out.dtype !== 'int64')
      return unlessNaN(
        context,
        x,
        [out],
        b => [plain(b)],
        b => [careful(b)],
      )
    const byTopK = (b: GraphWriter): Lowered => {
      const { value, width } = asRows({ ...context, g: b }, x, params.axes)
      const column = { dtype: 'int64' as const, shape: [1, width] }
      const [top] = b.several('TopK', [value, b.ints([1])], [column, column], { axis: 0, largest })
      return b.reshape(top, out.shape)
    }
    return unlessEmpty(context, x, [out], b => [byTopK(b)], neutral)
  }

/** The operand as a matrix [reduced elements, kept elements]. */
function asRows(
  { g, ins: [a] }: LoweringContext,
  x: Lowered,
  axes: readonly number[],
): { value: Lowered; rows: number; width: number } {
  const kept = a.shape.map((_, i) => i).filter(i => !axes.includes(i))
  const [rows, width] = [axes, kept].map(list => sizeOf(list.map(i => a.shape[i])))
  return { value: g.reshape(g.transpose(x, [...axes, ...kept]), [rows, width]), rows, width }
}

/**
 * reduceAnd or reduceOr: the minimum or maximum of the bools as int32. Of no elements, which a graph for all sizes may
 * meet, these are the largest and the smallest int32.
 */
const logical =
  (op: string): Lowering<Logical> =>
  ({ g, outs: [out] }, [x], { axes }) => {
    const reduced = g.node(op, [g.cast(x, 'int32'), g.ints(axes)], 'int32', out.shape, { keepdims: 0 })
    return [new Formula(g).test('Greater', reduced, g.scalar('int32', 0))]
  }

/** The index of the best element, or of the first NaN if there is one. */
const argBest =
  (op: string): Lowering<'argmax' | 'argmin'> =>
  (context, [operand], { axis }) => {
    const {
      g,
      ins: [a],
      outs: [out],
    } = context
    const x = g.expand(operand, a.shape)
    const at = (b: GraphWriter, name: string, v: Lowered): Lowered =>
      b.node(name, [v], 'int64', out.shape, { axis, keepdims: 0 })
    // For rows of float32, TopK with k = 1 takes half as long as ArgMax. Both choose the first of equal elements.
    const isRows = x.dtype === 'float32' && axis === a.shape.length - 1
    const plain = (b: GraphWriter): Lowered => {
      if (!isRows) return at(b, op, x)
      const column = [...out.shape, 1]
      const outputs = [x.dtype, 'int64' as const].map(dtype => ({ dtype, shape: column }))
      const attributes = { axis, largest: Number(op === 'ArgMax') }
      return b.reshape(b.several('TopK', [x, b.ints([1])], outputs, attributes)[1], out.shape)
    }
    const outputs = [{ dtype: 'int64' as const, shape: out.shape }]
    const careful = (b: GraphWriter): Lowered => {
      const nan = isNaN(b, x)
      const any = b.cast(b.node('ReduceMax', [nan, b.ints([axis])], 'int32', out.shape, { keepdims: 0 }), 'bool')
      return new Formula(b).where(any, at(b, 'ArgMax', nan), at(b, op, x))
    }
    const [best] = unlessEmpty(context, x, outputs, b =>
      unlessNaN(
        { g: b },
        x,
        outputs,
        c => [plain(c)],
        c => [careful(c)],
      ),
    )
    return [g.cast(best, 'int32')]
  }

export const reduceRules = {
  reduceSum: reduction(() => 0, sum),
  reduceProd: reduction(() => 1, product),
  reduceMax: reduction(d => extremeOf(d, 'least'), best('ReduceMax', 1)),
  reduceMin: reduction(d => extremeOf(d, 'greatest'), best('ReduceMin', 0)),
  reduceAnd: reduction(() => 1, logical('ReduceMin')),
  reduceOr: reduction(() => 0, logical('ReduceMax')),
  argmax: argBest('ArgMax'),
  argmin: argBest('ArgMin'),
}

export const cumsum: Lowering<'cumsum'> = ({ g, ins: [a], outs: [out] }, [x], { axis, reverse }) => [
  g.node('CumSum', [g.expand(x, a.shape), g.scalar('int64', axis)], out.dtype, out.shape, { reverse: Number(reverse) }),
]
