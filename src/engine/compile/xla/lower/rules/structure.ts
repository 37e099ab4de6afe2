import { integer, integers } from '../mlir.js'
import * as ops from '../ops.js'
import type { Lowerings } from './rule.js'

/** The primitives that move elements. Each is one operation of StableHLO. */
export const structureRules = {
  broadcastInDim: ({ block }, [x], { shape, dims }) => [ops.broadcastInDim(block, x, shape, dims)],
  reshape: ({ block }, [x], { shape }) => [ops.reshape(block, x, shape)],
  transpose: ({ block }, [x], { perm }) => [ops.transpose(block, x, perm)],
  concatenate: ({ block, outs: [out] }, inputs, { axis }) => [
    block.op('stablehlo.concatenate', inputs, out, { dimension: integer(axis) }),
  ],
  pad: ({ block, outs: [out] }, inputs, { low, high, interior }) => [
    block.op('stablehlo.pad', inputs, out, {
      edge_padding_low: integers(low),
      edge_padding_high: integers(high),
      interior_padding: integers(interior),
    }),
  ],
  slice: ({ block }, [x], { start, limit, strides }) => [ops.slice(block, x, start, limit, strides)],
  rev: ({ block }, [x], { axes }) => [block.op('stablehlo.reverse', [x], x.aval, { dimensions: integers(axes) })],
  iota: ({ block }, _, { dtype, shape, axis }) => [ops.iota(block, dtype, shape, axis)],
  dynamicSlice: ({ block, outs: [out] }, inputs, { sizes }) => [
    block.op('stablehlo.dynamic_slice', inputs, out, { slice_sizes: integers(sizes) }),
  ],
  dynamicUpdateSlice: ({ block, outs: [out] }, inputs) => [block.op('stablehlo.dynamic_update_slice', inputs, out)],
} satisfies Lowerings
