/** Scatters that combine updates by any associative and commutative function (`x.at(...).max` and the like). */
import { sizeOf } from '../../base/host-tensor.js'
import * as ops from '../program/ops.js'
import type { GatherParams } from '../program/primitives.js'
import type { Value } from '../program/value.js'
import { prefixScan } from './prefix-scan.js'

/** An associative and commutative function of two values of one shape. */
export type CombineValues = (x: Value, y: Value) => Value

/**
 * x with each update combined into the slice that `gather` would read at its index, in any order. Indices out of bounds
 * are ignored. There is no such primitive: the updates are sorted by index, a prefix scan combines the updates of equal
 * indices, and the last result for each index is written.
 */
export function scatterCombine(
  combine: CombineValues,
  x: Value,
  indices: Value,
  updates: Value,
  { axes }: Pick<GatherParams, 'axes'>,
): Value {
  const points = indices.shape.slice(0, -1)
  const n = sizeOf(points)
  if (n === 0) return x
  const lengths = axes.map(a => x.shape[a])
  const columns = axes.map((_, i) =>
    ops.reshape(ops.slice(indices, [...points.map(() => 0), i], [...points, i + 1]), [n]),
  )
  const isInside = columns.reduce<Value>(
    (inside, c, i) => ops.and(inside, ops.and(ops.ge(c, 0), ops.lt(c, lengths[i]))),
    ops.full([n], true, 'bool'),
  )
  const place = columns.reduce<Value>(
    (linear, c, i) => ops.add(ops.mul(linear, lengths[i]), c),
    ops.full([n], 0, 'int32'),
  )
  const outside = 2 ** 31 - 1
  const [places, order] = ops.sort([ops.select(isInside, place, outside), ops.iota('int32', [n], 0)], 0)

  const rows = ops.reshape(updates, [n, ...updates.shape.slice(points.length)])
  const ofRow = (v: Value): Value => ops.broadcastInDim(v, rows.shape, [0])
  const pick = (table: Value, at: Value, mode: 'clip'): Value =>
    ops.gather(table, ops.reshape(at, [n, 1]), { axes: [0], batchDims: 0, mode })
  const [, combined] = prefixScan(
    ([p, u], [q, v]) => {
      const isSame = ops.broadcastInDim(ops.eq(p, q), v.shape, [0])
      return [q, ops.select(isSame, combine(u, v), v)]
    },
    [places, pick(rows, order, 'clip')],
    0,
    false,
  )
  const next = ops.concatenate([ops.slice(places, [1], [n]), ops.full([1], -1, 'int32')], 0)
  const isWritten = ops.and(ops.ne(places, next), ops.lt(places, outside))
  const sortedIndices = pick(ops.reshape(indices, [n, axes.length]), order, 'clip')
  const params = { axes, batchDims: 0 } as const
  const old = ops.gather(x, sortedIndices, { ...params, mode: 'clip' })
  const written = ops.select(ofRow(isWritten), combine(old, combined), old)
  const target = ops.select(ops.broadcastInDim(isWritten, sortedIndices.shape, [0]), sortedIndices, outside)
  return ops.scatter(x, target, written, { ...params, mode: 'drop' })
}
