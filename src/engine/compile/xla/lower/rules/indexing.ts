import type { DType } from '../../../../../base/dtypes.js'
import type { GatherParams, ScatterParams } from '../../../../program/primitives.js'
import { range } from '../../../../program/ops.js'
import { axesText, integers } from '../mlir.js'
import * as ops from '../ops.js'
import type { BlockWriter, Lowered } from '../writer.js'
import { widened } from './reduce.js'
import type { LoweringContext, Lowerings } from './rule.js'

/** Signed indices, wide enough for every axis: XLA compares them with the axes' lengths in their own dtype. */
const asIndices = (b: BlockWriter, x: Lowered): Lowered =>
  ops.convert(b, x, x.aval.dtype === 'uint32' || x.aval.dtype === 'int64' ? 'int64' : 'int32')

/** The greatest valid index of each component of the index vectors, along their last axis. */
function greatestIndices(b: BlockWriter, operand: Lowered, indices: Lowered, axes: readonly number[]): Lowered {
  const greatest = axes.map(axis => operand.aval.shape[axis] - 1)
  if (greatest.every(n => n === greatest[0])) return ops.like(b, indices, greatest[0] ?? 0)
  const { dtype, shape } = indices.aval
  const scalars = greatest.map(n => b.constant(n, { dtype, shape: [1] }))
  const vector = b.op('stablehlo.concatenate', scalars, { dtype, shape: [greatest.length] }, { dimension: '0 : i64' })
  return ops.broadcastInDim(b, vector, shape, [shape.length - 1])
}

/** The indices moved to the nearest valid ones. */
const clipped = (b: BlockWriter, indices: Lowered, greatest: Lowered): Lowered =>
  ops.elementwise(b, 'minimum', ops.elementwise(b, 'maximum', indices, ops.like(b, indices, 0)), greatest)

/** Whether all indices of an index vector are valid; one element for each vector. */
function areValid(b: BlockWriter, indices: Lowered, greatest: Lowered): Lowered {
  const inside = ops.elementwise(
    b,
    'and',
    ops.compare(b, 'GE', indices, ops.like(b, indices, 0)),
    ops.compare(b, 'LE', indices, greatest),
  )
  const { shape } = indices.aval
  if (shape[shape.length - 1] === 1) return ops.reshape(b, inside, shape.slice(0, -1))
  const yes = b.constant(1, { dtype: 'bool', shape: [] })
  return ops.reduce(b, [inside], [yes], [shape.length - 1], (inner, [p], [q]) => [
    ops.elementwise(inner, 'and', p, q),
  ])[0]
}

/** The axes of the result (of a gather) or the updates (of a scatter) that come from the operand's kept axes. */
const windowAxes = (indices: Lowered, numKept: number): number[] => range(numKept, indices.aval.shape.length - 1)

export const gather = (
  { block: b, outs: [out] }: LoweringContext,
  [x, given]: readonly Lowered[],
  params: GatherParams,
) => {
  const { axes, batchDims, mode } = params
  // Nothing can be read along an axis of length 0.
  if (axes.some(axis => x.aval.shape[axis] === 0) || out.shape.includes(0)) return [b.constant(0, out)]
  const indices = asIndices(b, given)
  const batch = range(batchDims)
  const kept = ops.otherAxes(x.aval.shape, [...batch, ...axes])
  // StableHLO's gather clips.
  const rows = b.op('stablehlo.gather', [x, indices], out, {
    dimension_numbers:
      `#stablehlo.gather<offset_dims = ${axesText(windowAxes(indices, kept.length))}, ` +
      `collapsed_slice_dims = ${axesText(axes.toSorted((p, q) => p - q))}, ` +
      `operand_batching_dims = ${axesText(batch)}, start_indices_batching_dims = ${axesText(batch)}, ` +
      `start_index_map = ${axesText(axes)}, index_vector_dim = ${indices.aval.shape.length - 1}>`,
    slice_sizes: integers(x.aval.shape.map((d, i) => (kept.includes(i) ? d : 1))),
    indices_are_sorted: 'false',
  })
  if (mode === 'clip' || axes.length === 0) return [rows]
  const valid = areValid(b, indices, greatestIndices(b, x, indices, axes))
  return [
    ops.select(b, ops.broadcastInDim(b, valid, out.shape, range(valid.aval.shape.length)), rows, b.constant(0, out)),
  ]
}

/** A scatter that combines each update with the element at its place. StableHLO drops updates out of bounds. */
function scatterWith(
  b: BlockWriter,
  [x, given, updates]: readonly Lowered[],
  { axes, batchDims, mode, uniqueIndices = false }: ScatterParams,
  combine: (b: BlockWriter, current: Lowered, update: Lowered) => Lowered,
): Lowered {
  if (updates.aval.shape.includes(0) || x.aval.shape.includes(0)) return x
  const wide = asIndices(b, given)
  const indices = mode === 'clip' && axes.length > 0 ? clipped(b, wide, greatestIndices(b, x, wide, axes)) : wide
  const batch = range(batchDims)
  const numKept = x.aval.shape.length - batchDims - axes.length
  const scalar = { dtype: x.aval.dtype, shape: [] }
  return b.op(
    'stablehlo.scatter',
    [x, indices, updates],
    x.aval,
    {
      scatter_dimension_numbers:
        `#stablehlo.scatter<update_window_dims = ${axesText(windowAxes(indices, numKept))}, ` +
        `inserted_window_dims = ${axesText(axes.toSorted((p, q) => p - q))}, ` +
        `input_batching_dims = ${axesText(batch)}, scatter_indices_batching_dims = ${axesText(batch)}, ` +
        `scatter_dims_to_operand_dims = ${axesText(axes)}, index_vector_dim = ${indices.aval.shape.length - 1}>`,
      indices_are_sorted: 'false',
      unique_indices: String(uniqueIndices),
    },
    [b.region([scalar, scalar], (inner, [current, update]) => [combine(inner, current, update)])],
  )
}

const sum = (dtype: DType): string => (dtype === 'bool' ? 'or' : 'add')

/** Gather and scatter. */
export const indexingRules = {
  gather,
  scatter: ({ block }, inputs, params) => [scatterWith(block, inputs, params, (_, _current, update) => update)],
  scatterAdd: ({ block }, [x, indices, updates], params) => [
    widened(block, x, wide =>
      scatterWith(block, [wide, indices, ops.convert(block, updates, wide.aval.dtype)], params, (b, current, update) =>
        ops.elementwise(b, sum(wide.aval.dtype), current, update),
      ),
    ),
  ],
} satisfies Lowerings
