import { integer, integers } from '../mlir.js'
import * as ops from '../ops.js'
import { pad } from './pad.js'
import type { Lowerings } from './rule.js'

/** The primitives that move elements. Most are one operation of StableHLO. */
export const structureRules = {
  broadcastInDim: ({ block }, [x], { shape, dims }) => [ops.broadcastInDim(block, x, shape, dims)],
  reshape: ({ block }, [x], { shape }) => [ops.reshape(block, x, shape)],
  transpose: ({ block }, [x], { perm }) => [ops.transpose(block, x, perm)],
  concatenate: ({ block, outs: [out] }, inputs, { axis }) => [
    block.op('stablehlo.concatenate', inputs, out, { dimension: integer(axis) }),
  ],
  pad,
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
