import type { Aval } from '../../../../program/aval.js'
import type { PrimitiveParams } from '../../../../program/program.js'
import { integer, integers } from '../mlir.js'
import * as ops from '../ops.js'
import type { BlockWriter, Lowered } from '../writer.js'
import type { Lowerings } from './rule.js'

const pad = (
  block: BlockWriter,
  x: Lowered,
  value: Lowered,
  out: Aval,
  { low, high, interior }: PrimitiveParams['pad'],
): Lowered =>
  block.op('stablehlo.pad', [x, value], out, {
    edge_padding_low: integers(low),
    edge_padding_high: integers(high),
    interior_padding: integers(interior),
  })

/** A pad at the ends, which are cropped by a slice where they are negative. */
function padThenCrop(
  block: BlockWriter,
  x: Lowered,
  value: Lowered,
  { dtype, shape }: Aval,
  low: readonly number[],
  high: readonly number[],
): Lowered {
  const [cropLow, cropHigh] = [low, high].map(list => list.map(n => Math.max(0, -n)))
  const whole = { dtype, shape: shape.map((size, axis) => size + cropLow[axis] + cropHigh[axis]) }
  const padded = pad(block, x, value, whole, {
    low: low.map(n => Math.max(0, n)),
    high: high.map(n => Math.max(0, n)),
    interior: low.map(() => 0),
  })
  return ops.slice(
    block,
    padded,
    cropLow,
    whole.shape.map((size, axis) => size - cropHigh[axis]),
    shape.map(() => 1),
  )
}

/** The primitives that move elements. Nearly each is one operation of StableHLO. */
export const structureRules = {
  broadcastInDim: ({ block }, [x], { shape, dims }) => [ops.broadcastInDim(block, x, shape, dims)],
  reshape: ({ block }, [x], { shape }) => [ops.reshape(block, x, shape)],
  transpose: ({ block }, [x], { perm }) => [ops.transpose(block, x, perm)],
  concatenate: ({ block, outs: [out] }, inputs, { axis }) => [
    block.op('stablehlo.concatenate', inputs, out, { dimension: integer(axis) }),
  ],
  // On a mesh, XLA's partitioner divides a pad wrongly that adds elements between others, or crops. There each element
  // becomes a row, which is padded at its end, and a slice crops.
  pad: ({ block, module, outs: [out] }, [x, value], { low, high, interior }) => {
    const { dtype, shape } = x.aval
    if (!module.mesh) return [pad(block, x, value, out, { low, high, interior })]
    const between = interior.map((n, axis) => (shape[axis] > 0 ? n : 0))
    if (between.every(n => n === 0)) return [padThenCrop(block, x, value, out, low, high)]
    const zeros = shape.flatMap(() => [0, 0])
    const rows = { dtype, shape: shape.flatMap((size, axis) => [size, 1 + between[axis]]) }
    const single = ops.reshape(
      block,
      x,
      shape.flatMap(size => [size, 1]),
    )
    const padded = pad(block, single, value, rows, { low: zeros, high: between.flatMap(n => [0, n]), interior: zeros })
    const spaced = ops.reshape(
      block,
      padded,
      shape.map((size, axis) => size * (1 + between[axis])),
    )
    return [
      padThenCrop(
        block,
        spaced,
        value,
        out,
        low,
        high.map((n, axis) => n - between[axis]),
      ),
    ]
  },
  // The rows of a loop's results are often used alike, as the gradients of stacked layers are. With a row's number as a
  // constant, each use would be other code to XLA; so it is a value.
  slice: ({ block, outs: [out] }, [x], { start, limit, strides }) => {
    const isRow = out.shape.every((size, axis) => (axis === 0 ? size === 1 : size === x.aval.shape[axis]))
    if (!isRow || out.shape.length === 0 || !block.operandsIfMadeBy(x, 'stablehlo.while'))
      return [ops.slice(block, x, start, limit, strides)]
    const [row, ...zeros] = start.map(n => block.constant(n, { dtype: 'int32', shape: [] }))
    const hidden = ops.elementwise(block, 'optimization_barrier', row)
    return [block.op('stablehlo.dynamic_slice', [x, hidden, ...zeros], out, { slice_sizes: integers(out.shape) })]
  },
  rev: ({ block }, [x], { axes }) => [block.op('stablehlo.reverse', [x], x.aval, { dimensions: integers(axes) })],
  iota: ({ block }, _, { dtype, shape, axis }) => [ops.iota(block, dtype, shape, axis)],
  dynamicSlice: ({ block, outs: [out] }, inputs, { sizes }) => [
    block.op('stablehlo.dynamic_slice', inputs, out, { slice_sizes: integers(sizes) }),
  ],
  dynamicUpdateSlice: ({ block, outs: [out] }, inputs) => [block.op('stablehlo.dynamic_update_slice', inputs, out)],
} satisfies Lowerings
