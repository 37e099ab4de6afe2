import { sizeOf } from '../../../../base/host-tensor.js'
import { range } from '../../../program/ops.js'
import type { GraphWriter, Lowered } from '../graph.js'
import { Formula } from './formula.js'
import { indices } from './indexing.js'
import { expanded } from './rule.js'
import type { Lowering } from './rule.js'

/** The end of a backward Slice that includes index 0: smaller than every index. */
const BEFORE_ALL = -(2 ** 31)

export const broadcastInDim: Lowering<'broadcastInDim'> = ({ g }, [x], { shape, dims }) =>
  // Adds axes of length 1 only: the operations that read the result broadcast them if they have to.
  [
    g.reshape(
      x,
      shape.map((_, i) => (dims.includes(i) ? x.shape[dims.indexOf(i)] : 1)),
    ),
  ]

export const reshape: Lowering<'reshape'> = ({ g, ins: [a] }, [x], { shape }) => {
  // A value whose axes all have length 1 in the graph need not be broadcast.
  if (x.shape.every(d => d === 1))
    return [
      g.reshape(
        x,
        shape.map(() => 1),
      ),
    ]
  return [g.reshape(g.expand(x, a.shape), shape)]
}

export const transpose: Lowering<'transpose'> = ({ g }, [x], { perm }) => [g.transpose(x, perm)]

export const concatenate: Lowering<'concatenate'> = ({ g, ins, outs: [out] }, inputs, { axis }) => [
  g.node('Concat', expanded({ g, ins }, inputs), out.dtype, out.shape, { axis }),
]

/**
 * Interior padding first, which ONNX's Pad lacks: each axis is reshaped to [length, 1], the axis of length 1 is padded,
 * and the two are merged again, without the padding after the last element.
 */
export const pad: Lowering<'pad'> = ({ g, ins: [a], outs: [out] }, [operand, value], { low, high, interior }) => {
  let x = g.expand(operand, a.shape)
  // The shape with interior padding.
  const spread = a.shape.map((d, i) => d + Math.max(0, d - 1) * interior[i])
  if (interior.some(n => n > 0)) {
    const pairs = a.shape.flatMap(d => [d, 1])
    const padded = a.shape.flatMap((d, i) => [d, 1 + interior[i]])
    x = padNode(
      g,
      g.reshape(x, pairs),
      pairs.map(() => 0),
      a.shape.flatMap((_, i) => [0, interior[i]]),
      padded,
      value,
    )
    x = g.reshape(
      x,
      a.shape.map((d, i) => d * (1 + interior[i])),
    )
    x = sliceNode(
      g,
      x,
      spread.map(() => 0),
      spread,
      spread,
    )
  }
  const crop = (n: number): number => Math.min(n, 0)
  if ([...low, ...high].some(n => n < 0)) {
    // Cropping one side by more than the operand's length also removes padding of the other side.
    const starts = low.map((n, i) => Math.min(spread[i], -crop(n)))
    const ends = spread.map((d, i) => Math.max(starts[i], d + crop(high[i])))
    const kept = ends.map((e, i) => e - starts[i])
    const lows = low.map((n, i) => Math.max(0, n) + (crop(high[i]) < -spread[i] ? spread[i] + crop(high[i]) : 0))
    const highs = out.shape.map((d, i) => d - kept[i] - lows[i])
    return [padNode(g, sliceNode(g, x, starts, ends, kept), lows, highs, out.shape, value)]
  }
  return [padNode(g, x, low, high, out.shape, value)]
}

function padNode(
  g: GraphWriter,
  x: Lowered,
  low: readonly number[],
  high: readonly number[],
  shape: readonly number[],
  value: Lowered,
): Lowered {
  if ([...low, ...high].every(n => n === 0)) return x
  if (x.dtype === 'bool')
    return g.cast(padNode(g, g.cast(x, 'uint8'), low, high, shape, g.cast(value, 'uint8')), 'bool')
  return g.node('Pad', [x, g.ints([...low, ...high]), g.reshape(value, [])], x.dtype, shape)
}

function sliceNode(
  g: GraphWriter,
  x: Lowered,
  start: readonly number[],
  limit: readonly number[],
  shape: readonly number[],
  strides?: readonly number[],
): Lowered {
  const inputs = [x, g.ints(start), g.ints(limit), g.ints(range(x.shape.length))]
  return x.shape.length === 0 ? x : g.node('Slice', strides ? [...inputs, g.ints(strides)] : inputs, x.dtype, shape)
}

export const slice: Lowering<'slice'> = ({ g, ins: [a], outs: [out] }, [x], { start, limit, strides }) => [
  sliceNode(g, g.expand(x, a.shape), start, limit, out.shape, strides),
]

export const rev: Lowering<'rev'> = ({ g, ins: [a], outs: [out] }, [x], { axes }) => {
  if (axes.length === 0) return [x]
  const each = (n: number): Lowered => g.ints(axes.map(() => n))
  return [
    g.node('Slice', [g.expand(x, a.shape), each(-1), each(BEFORE_ALL), g.ints(axes), each(-1)], out.dtype, out.shape),
  ]
}

export const iota: Lowering<'iota'> = ({ g }, _, { dtype, shape, axis }) => [
  g.reshape(
    g.cast(indices(g, shape[axis]), dtype),
    shape.map((d, i) => (i === axis ? d : 1)),
  ),
]

/** The starts as one int64 vector, clamped so that the window fits. */
function windowStarts(
  g: GraphWriter,
  starts: readonly Lowered[],
  shape: readonly number[],
  sizes: readonly number[],
): Lowered {
  const f = new Formula(g)
  const vector = g.node(
    'Concat',
    starts.map(s => g.reshape(g.cast(s, 'int64'), [1])),
    'int64',
    [shape.length],
    { axis: 0 },
  )
  return f.op('Max', f.op('Min', vector, g.ints(shape.map((d, i) => d - sizes[i]))), g.scalar('int64', 0))
}

export const dynamicSlice: Lowering<'dynamicSlice'> = ({ g, ins: [a], outs: [out] }, [x, ...starts], { sizes }) => {
  if (starts.length === 0) return [x]
  const from = windowStarts(g, starts, a.shape, sizes)
  const to = new Formula(g).op('Add', from, g.ints(sizes))
  return [g.node('Slice', [g.expand(x, a.shape), from, to], out.dtype, out.shape)]
}

/**
 * ScatterND, with one index vector for each row. The indexed axes are those up to the last along which the window is
 * shorter than the operand; a row spans the axes after them.
 */
export const dynamicUpdateSlice: Lowering<'dynamicUpdateSlice'> = (
  { g, ins: [a, au], outs: [out] },
  [x, update, ...starts],
) => {
  if (starts.length === 0) return [update]
  if (sizeOf(au.shape) === 0) return [x]
  const part = g.expand(update, au.shape)
  const axes = range(au.shape.findLastIndex((length, i) => length !== a.shape[i]) + 1)
  if (axes.length === 0) return [part]
  const from = windowStarts(g, starts, a.shape, au.shape)
  const grid = [...axes.map(axis => au.shape[axis]), 1] // the shape of one component of all index vectors
  const along = axes.map(axis => {
    const start = g.node('Gather', [from, g.ints([axis])], 'int64', [1], { axis: 0 })
    const positions = au.shape[axis] === 1 ? start : new Formula(g).op('Add', start, indices(g, au.shape[axis]))
    return g.expand(
      g.reshape(
        positions,
        grid.map((length, i) => (i === axis ? length : 1)),
      ),
      grid,
    )
  })
  const at =
    along.length === 1
      ? along[0]
      : g.node('Concat', along, 'int64', [...grid.slice(0, -1), axes.length], { axis: axes.length })
  return [g.node('ScatterND', [g.expand(x, a.shape), at, part], out.dtype, out.shape)]
}
