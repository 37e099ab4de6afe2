/**
 * Batching rules of the primitives about several devices. If a collective names the axis of the batch, its examples are
 * the devices, and it becomes ordinary operations along axis 0. Otherwise it is applied to the batch as a whole.
 */
import { isFloat } from '../../base/dtypes.js'
import * as ops from '../program/ops.js'
import type { MeshAxis } from '../program/sharding.js'
import { NamedSharding, PartitionSpec } from '../program/sharding.js'
import { bind } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { lead, mapped, unmapped } from './batching.js'
import type { BatchAxis, Batched, BatchProgram, BatchRule } from './rules.js'

/** The spec of an array with a batch, which is not split, as dimension 0. */
const withBatch = (spec: PartitionSpec): PartitionSpec => new PartitionSpec(null, ...spec.dims)

export const shardingConstraint: BatchRule<'shardingConstraint'> = ([x], { sharding }) => [
  mapped(ops.shardingConstraint(x.value, new NamedSharding(sharding.mesh, withBatch(sharding.spec)))),
]

export const shardMap =
  (batchProgram: BatchProgram): BatchRule<'shardMap'> =>
  (inputs, { mesh, inSpecs, outSpecs, body }, axis) => {
    const isMapped = inputs.map(x => x.batched)
    const { program, batched } = batchProgram(body, axis, isMapped)
    const outputs = bind(
      'shardMap',
      inputs.map(x => x.value),
      {
        mesh,
        inSpecs: inSpecs.map((spec, i) => (isMapped[i] ? withBatch(spec) : spec)),
        outSpecs: outSpecs.map((spec, i) => (batched[i] ? withBatch(spec) : spec)),
        body: program,
      },
    )
    return outputs.map((value, i) => ({ value, batched: batched[i] }))
  }

const isOver = ({ name }: MeshAxis, batch: BatchAxis): boolean => name === batch.name

/** The sum over the batch. */
const total = ({ value, batched }: Batched, size: number): Value =>
  batched ? ops.reduceSum(value, [0]) : value.dtype === 'bool' ? value : ops.mul(value, size)

/** Splits dimension `dim` into [n, length / n]. */
const splitDimension = (x: Value, dim: number, n: number): Value =>
  ops.reshape(x, x.shape.toSpliced(dim, 1, n, x.shape[dim] / n))
/** Merges dimensions `dim` and `dim + 1`. */
const mergeDimensions = (x: Value, dim: number): Value =>
  ops.reshape(x, x.shape.toSpliced(dim, 2, x.shape[dim] * x.shape[dim + 1]))

export const psum: BatchRule<'psum'> = ([x], { axes }, batch) => {
  const others = axes.filter(a => !isOver(a, batch))
  if (others.length === axes.length) return [mapped(ops.psum(x.value, axes))]
  const { dtype } = x.value
  if (others.length === 0 || !isFloat(dtype) || dtype === 'float32')
    return [unmapped(ops.psum(total(x, batch.size), others))]
  // A sum of 16-bit floats over several axes is rounded once, as devices round it.
  const wide = { ...x, value: ops.convertElementType(x.value, 'float32') }
  return [unmapped(ops.convertElementType(ops.psum(total(wide, batch.size), others), dtype))]
}

export const allGather: BatchRule<'allGather'> = ([x], { axis, dim }, batch) =>
  isOver(axis, batch)
    ? [unmapped(mergeDimensions(ops.moveAxis(lead(x, batch.size), 0, dim), dim))]
    : [mapped(ops.allGather(x.value, axis, dim + 1))]

export const reduceScatter: BatchRule<'reduceScatter'> = ([x], { axis, dim }, batch) =>
  isOver(axis, batch)
    ? [mapped(ops.moveAxis(splitDimension(total(x, batch.size), dim, batch.size), dim, 0))]
    : [mapped(ops.reduceScatter(x.value, axis, dim + 1))]

export const allToAll: BatchRule<'allToAll'> = ([x], { axis, splitDim, concatDim }, batch) => {
  if (!isOver(axis, batch)) return [mapped(ops.allToAll(x.value, axis, splitDim + 1, concatDim + 1))]
  // [from, ...] -> [to, from, ...] -> [to, ..., from, ...]
  const parts = ops.moveAxis(splitDimension(lead(x, batch.size), splitDim + 1, batch.size), splitDim + 1, 0)
  return [mapped(mergeDimensions(ops.moveAxis(parts, 1, concatDim + 1), concatDim + 1))]
}

export const ppermute: BatchRule<'ppermute'> = ([x], { axis, permutation }, batch) => {
  if (!isOver(axis, batch)) return [mapped(ops.ppermute(x.value, axis, permutation))]
  const all = lead(x, batch.size)
  const example = all.shape.slice(1)
  const received = ops.range(batch.size).map(to => {
    const from = permutation.find(pair => pair[1] === to)?.[0]
    if (from === undefined) return ops.full([1, ...example], 0, all.dtype)
    const [start, limit] = [all.shape.map(() => 0), [...all.shape]]
    start[0] = from
    limit[0] = from + 1
    return ops.slice(all, start, limit)
  })
  return [mapped(ops.concatenate(received, 0))]
}

export const axisIndex: BatchRule<'axisIndex'> = (_, { axis }, batch) =>
  isOver(axis, batch) ? [mapped(ops.iota('int32', [batch.size], 0))] : [unmapped(ops.axisIndex(axis))]
