/** Batching rules of slices and scatters at computed indices, of `pad` and of `dotGeneral`. */
import { sameShape } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { GatherParams } from '../program/primitives.js'
import type { PrimitiveParams } from '../program/program.js'
import { bind } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { lead, mapped, shift } from './batching.js'
import type { Batched, BatchRule } from './rules.js'

const zero = (): Value => ops.full([], 0, 'int32')

/**
 * The windows of a batch of dynamicSlices as indices of a gather. `shape` is the operand's shape for one example,
 * `sizes` the window's. The resulting `axes` are those along which the window is shorter than the operand. An index is
 * the start, clamped so that the window fits, plus the offset in the window. Indices: [batch, ...window's lengths along
 * `axes`, number of axes].
 */
function windowIndices(
  shape: readonly number[],
  sizes: readonly number[],
  starts: readonly Batched[],
  size: number,
): { axes: number[]; indices: Value } {
  const axes = ops.range(shape.length).filter(i => sizes[i] < shape[i])
  const grid = [size, ...axes.map(i => sizes[i])]
  const columns = axes.map((axis, k) => {
    const limit = shape[axis] - sizes[axis]
    const start = ops.max(ops.min(lead(starts[axis], size), limit), 0)
    const at = ops.add(ops.broadcastInDim(start, grid, [0]), ops.iota('int32', grid, k + 1))
    return ops.reshape(at, [...grid, 1])
  })
  return { axes, indices: ops.concatenate(columns, grid.length) }
}

/** The permutation of a gather's result, from [batch, `axes`, other axes] to [batch, all axes in order]. */
const windowOrder = (ndim: number, axes: readonly number[]): number[] => {
  const order = [...axes, ...ops.range(ndim).filter(i => !axes.includes(i))]
  return [0, ...ops.range(ndim).map(i => 1 + order.indexOf(i))]
}

export const dynamicSlice: BatchRule<'dynamicSlice'> = ([x, ...starts], { sizes }, { size }) => {
  if (starts.every(s => !s.batched))
    return [mapped(ops.dynamicSlice(x.value, [zero(), ...starts.map(s => s.value)], [size, ...sizes]))]
  const shape = x.batched ? x.value.shape.slice(1) : x.value.shape
  if (sameShape(shape, sizes)) return [x]
  const { axes, indices } = windowIndices(shape, sizes, starts, size)
  const window = x.batched
    ? ops.gather(x.value, indices, { axes: shift(axes), batchDims: 1, mode: 'clip' })
    : ops.gather(x.value, indices, { axes, batchDims: 0, mode: 'clip' })
  return [mapped(ops.transpose(window, windowOrder(shape.length, axes)))]
}

export const dynamicUpdateSlice: BatchRule<'dynamicUpdateSlice'> = ([x, update, ...starts], _, { size }) => {
  const [operand, updates] = [lead(x, size), lead(update, size)]
  if (starts.every(s => !s.batched))
    return [mapped(ops.dynamicUpdateSlice(operand, updates, [zero(), ...starts.map(s => s.value)]))]
  const shape = operand.shape.slice(1)
  if (sameShape(shape, updates.shape.slice(1))) return [mapped(updates)]
  const { axes, indices } = windowIndices(shape, updates.shape.slice(1), starts, size)
  const ordered = ops.transpose(updates, ops.inversePermutation(windowOrder(shape.length, axes)))
  return [mapped(ops.scatter(operand, indices, ordered, { axes: shift(axes), batchDims: 1, mode: 'clip' }))]
}

/**
 * If both operands are mapped, the gather gets one more batch axis. If only one is, the batch is an ordinary axis of
 * it: one that is not indexed (operand), or one more axis of index vectors (indices).
 */
export const gather: BatchRule<'gather'> = ([x, indices], params, { size }) => {
  const { axes, batchDims: n, mode } = params
  if (x.batched && indices.batched)
    return [mapped(ops.gather(x.value, indices.value, { axes: shift(axes), batchDims: n + 1, mode }))]
  if (x.batched) {
    const gathered = ops.gather(ops.moveAxis(x.value, 0, n), indices.value, { axes: shift(axes), batchDims: n, mode })
    return [mapped(ops.moveAxis(gathered, indices.value.ndim - 1, 0))]
  }
  const gathered = ops.gather(x.value, ops.moveAxis(lead(indices, size), 0, n), params)
  return [mapped(ops.moveAxis(gathered, n, 0))]
}

/** As `gather`. If the indices are not mapped, the batch is an axis of operand and updates that is not indexed. */
export const scatter =
  (primitive: 'scatter' | 'scatterAdd'): BatchRule<'scatter' | 'scatterAdd'> =>
  ([x, indices, updates], params: GatherParams, { size }) => {
    const [operand, source] = [lead(x, size), lead(updates, size)]
    const { axes, batchDims: n } = params
    const shifted = { ...params, axes: shift(axes) }
    if (indices.batched)
      return [mapped(bind(primitive, [operand, indices.value, source], { ...shifted, batchDims: n + 1 })[0])]
    const window = ops.moveAxis(source, 0, indices.value.ndim - 1)
    const result = bind(primitive, [ops.moveAxis(operand, 0, n), indices.value, window], shifted)[0]
    return [mapped(ops.moveAxis(result, n, 0))]
  }

/**
 * If the padding value is mapped: pads with zeros, then writes each example's value to the positions outside of its
 * operand.
 */
export const pad: BatchRule<'pad'> = ([x, value], { low, high, interior }: PrimitiveParams['pad'], { size }) => {
  const operand = lead(x, size)
  const amounts = [
    [0, ...low],
    [0, ...high],
    [0, ...interior],
  ] as const
  if (!value.batched) return [mapped(ops.pad(operand, value.value, ...amounts))]
  const padded = ops.pad(operand, ops.full([], 0, operand.dtype), ...amounts)
  const inside = ops.pad(ops.full(operand.shape, true, 'bool'), ops.full([], false, 'bool'), ...amounts)
  return [mapped(ops.select(inside, padded, ops.broadcastInDim(value.value, padded.shape, [0])))]
}

/**
 * If both operands are mapped, the product gets one more batch axis. If one is, its batch is a free axis, moved to the
 * front.
 */
export const dotGeneral: BatchRule<'dotGeneral'> = ([x, y], { contract: [cx, cy], batch: [bx, by] }) => {
  if (x.batched && y.batched) {
    return [
      mapped(
        ops.dotGeneral(x.value, y.value, {
          contract: [shift(cx), shift(cy)],
          batch: [
            [0, ...shift(bx)],
            [0, ...shift(by)],
          ],
        }),
      ),
    ]
  }
  if (x.batched)
    return [
      mapped(
        ops.moveAxis(
          ops.dotGeneral(x.value, y.value, { contract: [shift(cx), cy], batch: [shift(bx), by] }),
          bx.length,
          0,
        ),
      ),
    ]
  const product = ops.dotGeneral(x.value, y.value, { contract: [cx, shift(cy)], batch: [bx, shift(by)] })
  return [mapped(ops.moveAxis(product, x.value.ndim - cx.length, 0))]
}
