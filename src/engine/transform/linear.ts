import { SwitchyardError } from '../../base/errors.js'
import { sizeOf } from '../../base/host-tensor.js'
import type { Aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { GatherParams } from '../program/primitives.js'
import type { Value } from '../program/value.js'
import type { LinearOperand, TransposeRule } from './rules.js'

/**
 * The primitives that are linear in some operand. The jvp rules apply only these, and primitives that carry programs,
 * to tangents.
 */
export type LinearPrimitive =
  | 'neg'
  | 'optimizationBarrier'
  | 'convertElementType'
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'select'
  | 'broadcastInDim'
  | 'reshape'
  | 'transpose'
  | 'concatenate'
  | 'pad'
  | 'slice'
  | 'rev'
  | 'dynamicSlice'
  | 'dynamicUpdateSlice'
  | 'reduceSum'
  | 'cumsum'
  | 'dotGeneral'
  | 'gather'
  | 'scatter'
  | 'scatterAdd'
  | 'shardingConstraint'
  | 'psum'
  | 'allGather'
  | 'reduceScatter'
  | 'allToAll'
  | 'ppermute'

/** Whether an operand gets a cotangent. */
export const isLinear = (o: LinearOperand): o is { linear: Aval } => 'linear' in o
export const avalOf = (o: LinearOperand): Aval => (isLinear(o) ? o.linear : o.known.aval)
export const zeros = (a: Aval): Value => ops.full(a.shape, 0, a.dtype)
/** The value of a known operand. */
export const valueOf = (o: LinearOperand): Value => {
  if (isLinear(o)) {
    throw new SwitchyardError(
      'this derivative multiplies two tangents, so it has no reverse mode: the rule of a customJvp function must be linear in the tangents',
    )
  }
  return o.known
}

/** The transposition rules: from the output's cotangent to those of the operands in which the primitive is linear. */
export const linearRules: { [P in LinearPrimitive]: TransposeRule<P> } = {
  neg: ct => [ops.neg(ct)],
  optimizationBarrier: ct => [ops.optimizationBarrier(ct)],
  convertElementType: (ct, [x]) => [ops.convertElementType(ct, avalOf(x).dtype)],
  add: (ct, operands) => operands.map(o => (isLinear(o) ? ct : null)),
  sub: (ct, [x, y]) => [isLinear(x) ? ct : null, isLinear(y) ? ops.neg(ct) : null],
  mul: (ct, [x, y]) => (isLinear(x) ? [ops.mul(ct, valueOf(y)), null] : [null, ops.mul(valueOf(x), ct)]),
  div: (ct, [, y]) => [ops.div(ct, valueOf(y)), null],
  select: (ct, [condition, x, y]) => {
    const c = valueOf(condition)
    return [null, isLinear(x) ? ops.select(c, ct, 0) : null, isLinear(y) ? ops.select(c, 0, ct) : null]
  },
  broadcastInDim: (ct, [x], { shape, dims }) => {
    const a = avalOf(x)
    // The cotangent is summed over new axes and over those stretched from length 1; the reshape restores the latter.
    const axes = ops.range(shape.length).filter(i => !dims.includes(i) || a.shape[dims.indexOf(i)] !== shape[i])
    return [ops.reshape(ops.reduceSum(ct, axes), a.shape)]
  },
  reshape: (ct, [x]) => [ops.reshape(ct, avalOf(x).shape)],
  transpose: (ct, _, { perm }) => [ops.transpose(ct, ops.inversePermutation(perm))],
  concatenate: (ct, operands, { axis }) => {
    let offset = 0
    return operands.map(o => {
      const size = avalOf(o).shape[axis]
      const start = ct.shape.map((_, i) => (i === axis ? offset : 0))
      offset += size
      return isLinear(o)
        ? ops.slice(
            ct,
            start,
            ct.shape.map((d, i) => (i === axis ? offset : d)),
          )
        : null
    })
  },
  pad: (ct, [x, value], { low, high, interior }) => {
    // Cropping by `low` and `high` leaves the operand's elements and the interior padding, which strides skip.
    const shape = avalOf(x).shape
    const zero = zeros({ dtype: ct.dtype, shape: [] })
    const window = ops.pad(
      ct,
      zero,
      low.map(n => -n),
      high.map(n => -n),
    )
    const back = ops.slice(
      window,
      shape.map(() => 0),
      window.shape,
      interior.map(n => n + 1),
    )
    const total = isLinear(value)
      ? ops.sub(ops.reduceSum(ct, ops.range(ct.ndim)), ops.reduceSum(back, ops.range(ct.ndim)))
      : null
    return [isLinear(x) ? back : null, total]
  },
  slice: (ct, [x], { start, strides }) => {
    const { shape, dtype } = avalOf(x)
    const high = shape.map((d, i) => d - start[i] - (ct.shape[i] === 0 ? 0 : (ct.shape[i] - 1) * strides[i] + 1))
    return [
      ops.pad(
        ct,
        zeros({ dtype, shape: [] }),
        start,
        high,
        strides.map(s => s - 1),
      ),
    ]
  },
  rev: (ct, _, { axes }) => [ops.rev(ct, axes)],
  dynamicSlice: (ct, [x, ...starts]) => [
    ops.dynamicUpdateSlice(zeros(avalOf(x)), ct, starts.map(valueOf)),
    ...starts.map(() => null),
  ],
  dynamicUpdateSlice: (ct, [x, update, ...starts]) => {
    const at = starts.map(valueOf)
    return [
      isLinear(x) ? ops.dynamicUpdateSlice(ct, zeros(avalOf(update)), at) : null,
      isLinear(update) ? ops.dynamicSlice(ct, at, avalOf(update).shape) : null,
      ...starts.map(() => null),
    ]
  },
  reduceSum: (ct, [x], { axes }) => {
    const { shape } = avalOf(x)
    return [
      ops.broadcastInDim(
        ct,
        shape,
        ops.range(shape.length).filter(i => !axes.includes(i)),
      ),
    ]
  },
  cumsum: (ct, _, { axis, reverse }) => [ops.cumsum(ct, axis, !reverse)],
  dotGeneral: (ct, [x, y], { contract: [cx, cy], batch: [bx, by] }) =>
    isLinear(x)
      ? [dotTranspose(ct, avalOf(x), valueOf(y), cx, cy, bx, by, false), null]
      : [null, dotTranspose(ct, avalOf(y), valueOf(x), cy, cx, by, bx, true)],
  gather: (ct, [x, indices], params) => [addGathered(zeros(avalOf(x)), ct, valueOf(indices), params), null],
  scatter: (ct, [x, indices, updates], params) => {
    const at = valueOf(indices)
    return [
      isLinear(x) ? ops.scatter(ct, at, zeros(avalOf(updates)), params) : null,
      null,
      isLinear(updates)
        ? ops.select(
            lastWritten(avalOf(x), avalOf(updates), at, params),
            ops.gather(ct, at, params.mode === 'drop' ? { ...params, mode: 'fill' } : params),
            0,
          )
        : null,
    ]
  },
  scatterAdd: (ct, [x, indices, updates], params) => [
    isLinear(x) ? ct : null,
    null,
    isLinear(updates)
      ? ops.gather(ct, valueOf(indices), params.mode === 'drop' ? { ...params, mode: 'fill' } : params)
      : null,
  ],
  shardingConstraint: (ct, _, { sharding }) => [ops.shardingConstraint(ct, sharding)],
  // Each device's operand is part of the sum on every device.
  psum: (ct, _, { axes }) => [ops.psum(ct, axes)],
  allGather: (ct, _, { axis, dim }) => [ops.reduceScatter(ct, axis, dim)],
  reduceScatter: (ct, _, { axis, dim }) => [ops.allGather(ct, axis, dim)],
  allToAll: (ct, _, { axis, splitDim, concatDim }) => [ops.allToAll(ct, axis, concatDim, splitDim)],
  ppermute: (ct, _, { axis, permutation }) => [
    ops.ppermute(
      ct,
      axis,
      permutation.map(([from, to]) => [to, from]),
    ),
  ],
}

/** The cotangent of a gather's operand, added to `total`: `ct` goes to the elements that the gather read. */
export const addGathered = (total: Value, ct: Value, indices: Value, params: GatherParams): Value =>
  ops.scatterAdd(total, indices, ct, params.mode === 'fill' ? { ...params, mode: 'drop' } : params)

/**
 * Which updates a scatter keeps if several have the same index, as a mask of the shape of `updates`. Each index vector
 * scatters its row number, then gathers the number stored at its index: if it is its own, this row was written last.
 */
function lastWritten(operand: Aval, updates: Aval, indices: Value, { axes, batchDims, mode }: GatherParams): Value {
  const rows = indices.shape.slice(0, -1)
  const rowNumbers = ops.reshape(ops.iota('int32', [sizeOf(rows)], 0), rows)
  const indexedShape = [...operand.shape.slice(0, batchDims), ...axes.map(a => operand.shape[a])]
  const params = { axes: ops.range(axes.length, batchDims), batchDims, mode }
  const winners = ops.scatter(ops.full(indexedShape, -1, 'int32'), indices, rowNumbers, params)
  const won = ops.eq(ops.gather(winners, indices, { ...params, mode: 'clip' }), rowNumbers)
  return ops.broadcastInDim(won, updates.shape, ops.range(rows.length))
}

/**
 * The cotangent of one operand of a dotGeneral: the dotGeneral of the output's cotangent and the other operand,
 * contracted over the other operand's free axes, transposed to this operand's order of axes. `isRight`: whether this
 * operand is the right one.
 */
function dotTranspose(
  ct: Value,
  operand: Aval,
  other: Value,
  contract: readonly number[],
  otherContract: readonly number[],
  batch: readonly number[],
  otherBatch: readonly number[],
  isRight: boolean,
): Value {
  const free = ops.range(operand.shape.length).filter(i => !contract.includes(i) && !batch.includes(i))
  const otherFree = ops.range(other.ndim).filter(i => !otherContract.includes(i) && !otherBatch.includes(i))
  const ctBatch = ops.range(batch.length)
  const ctOther = ops.range(otherFree.length, isRight ? batch.length : batch.length + free.length)
  const product = ops.dotGeneral(ct, other, { contract: [ctOther, otherFree], batch: [ctBatch, otherBatch] })
  // The product's axes: batch, this operand's free axes, then the contracted axes, in their order in the other operand.
  const contractInOrder = otherContract.toSorted((a, b) => a - b).map(axis => contract[otherContract.indexOf(axis)])
  return ops.transpose(product, ops.inversePermutation([...batch, ...free, ...contractInOrder]))
}
