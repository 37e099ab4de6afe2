/** The collective primitives on host memory, by a communicator. */
import { allocate, isFloat } from '../../../base/dtypes.js'
import type { DType, TypedArray } from '../../../base/dtypes.js'
import { bytesOf, bytesOfType, castHost, concatenateHost, sizeOf, tensorFromBytes } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { sameShape } from '../../program/aval.js'
import { is } from '../../program/program.js'
import type { Equation } from '../../program/program.js'
import { shardShape, shardStarts } from '../../program/sharding.js'
import type { NamedSharding } from '../../program/sharding.js'
import { partAt } from '../parts.js'
import type { Group } from './communicator.js'
import type { Place } from './place.js'

/** Whether an equation needs other devices. (Its own position on the mesh is known to each device.) */
export const communicates = (eqn: Equation): boolean =>
  is(eqn, 'psum') || is(eqn, 'allGather') || is(eqn, 'reduceScatter') || is(eqn, 'allToAll') || is(eqn, 'ppermute')

/** A collective and this process's operand. */
export interface OwnCollective {
  readonly equation: Equation
  readonly operand: HostTensor
}

/** Sums of fewer bytes than this travel together: messages of this size take little longer than those of a number. */
const SMALL_BYTES = 2 ** 18

/**
 * Computes collectives that do not depend on each other, in an order that is the same on all processes. Small sums over
 * the same processes are computed as one.
 */
export async function runCollectives(collectives: readonly OwnCollective[], place: Place): Promise<HostTensor[]> {
  const together = new Map<string, number[]>()
  const groups: number[][] = []
  collectives.forEach(({ equation: eqn, operand }, i) => {
    const isSmall = is(eqn, 'psum') && operand.dtype === 'float32' && bytesOfType(operand) < SMALL_BYTES
    const key = isSmall ? eqn.params.axes.map(a => a.name).join() : ''
    const group = isSmall ? (together.get(key) ?? []) : []
    if (group.length === 0) groups.push(group)
    group.push(i)
    if (isSmall) together.set(key, group)
  })
  const results: HostTensor[] = []
  for (const group of groups) {
    const [{ equation, operand }] = group.map(i => collectives[i])
    if (group.length === 1) results[group[0]] = await runCollective(equation, operand, place)
    else {
      const operands = group.map(i => collectives[i].operand)
      const flat = operands.map((x): HostTensor => ({ ...x, shape: [x.data.length] }))
      const { data } = await runCollective(equation, concatenateHost(flat, 0), place)
      let at = 0
      for (const [n, { dtype, shape, data: own }] of operands.entries())
        results[group[n]] = { dtype, shape, data: data.subarray(at, (at += own.length)) }
    }
  }
  return results
}

/** Computes a collective of this process and those that take part with it. */
async function runCollective(eqn: Equation, x: HostTensor, place: Place): Promise<HostTensor> {
  const { communicator } = place
  if (is(eqn, 'psum')) {
    const group = place.group(eqn.params.axes.map(a => a.name))
    return summed(x, async wide => ({
      ...wide,
      data: await communicator.reduce(wide.data, x.dtype === 'bool' ? 'max' : 'sum', group),
    }))
  }
  if (is(eqn, 'allGather')) {
    const { axis, dim } = eqn.params
    return gathered(x, dim, place.group([axis.name]), place)
  }
  if (is(eqn, 'reduceScatter')) {
    const { axis, dim } = eqn.params
    const group = place.group([axis.name])
    const shape = x.shape.with(dim, x.shape[dim] / group.length)
    const parts = inParts(x, dim, group.length)
    if (x.dtype === 'bool') {
      const size = sizeOf(shape)
      const own = group.indexOf(communicator.rank)
      const all = await communicator.reduce(parts.data, 'max', group)
      return { dtype: x.dtype, shape, data: all.slice(own * size, (own + 1) * size) }
    }
    return summed({ ...parts, shape }, async wide => ({
      ...wide,
      data: await communicator.reduceScatter(wide.data, group),
    }))
  }
  if (is(eqn, 'allToAll')) {
    const { axis, splitDim, concatDim } = eqn.params
    const group = place.group([axis.name])
    const shape = x.shape.with(splitDim, x.shape[splitDim] / group.length)
    const received = await communicator.exchange(bytesOf(inParts(x, splitDim, group.length)), group)
    return joined(received, x.dtype, shape, group.length, concatDim)
  }
  if (is(eqn, 'ppermute')) {
    const { axis, permutation } = eqn.params
    const group = place.group([axis.name])
    const own = group.indexOf(communicator.rank)
    const to = permutation.find(([from]) => from === own)?.[1]
    const from = permutation.find(pair => pair[1] === own)?.[0]
    const bytes = bytesOf(x)
    const [received] = await Promise.all([
      from === undefined ? null : communicator.receive(bytes.length, group[from]),
      to === undefined ? null : communicator.send(bytes, group[to]),
    ])
    return received
      ? tensorFromBytes(x.dtype, x.shape, received)
      : { dtype: x.dtype, shape: x.shape, data: allocate(x.dtype, sizeOf(x.shape)) }
  }
  throw new Error(`${eqn.primitive} is not a collective`)
}

/** All of an array of which this process has a part. The other processes have to call this, too. */
export async function gatherWhole(part: HostTensor, { spec }: NamedSharding, place: Place): Promise<HostTensor> {
  let whole = part
  for (const [dim, axes] of spec.dims.entries())
    if (axes.length > 0) whole = await gathered(whole, dim, place.group(axes), place)
  return whole
}

/** This process's part of an array. */
export function ownPart(whole: HostTensor, sharding: NamedSharding, place: Place): HostTensor {
  const shape = shardShape(whole.shape, sharding)
  const start = shardStarts(whole.shape, sharding)[place.communicator.rank]
  return sameShape(shape, whole.shape) ? whole : partAt(whole, start, shape)
}

const gathered = async (x: HostTensor, dim: number, group: Group, { communicator }: Place): Promise<HostTensor> =>
  joined(await communicator.gather(bytesOf(x), group), x.dtype, x.shape, group.length, dim)

/** Tensors of one shape, one after the other in these bytes, joined along a dimension. */
function joined(bytes: Uint8Array, dtype: DType, shape: readonly number[], count: number, dim: number): HostTensor {
  const { data } = tensorFromBytes(dtype, [count, ...shape], bytes)
  const outer = sizeOf(shape.slice(0, dim))
  return { dtype, shape: shape.with(dim, count * shape[dim]), data: swapped(dtype, data, count, outer) }
}

/** The tensor split into equal parts along a dimension, one after the other in memory. */
const inParts = (x: HostTensor, dim: number, count: number): HostTensor => ({
  ...x,
  data: swapped(x.dtype, x.data, sizeOf(x.shape.slice(0, dim)), count),
})

/** Shorter blocks are copied element by element: a view of each would take longer. */
const SHORT_BLOCK = 32

/** [rows, columns, ...block] -> [columns, rows, ...block], where blocks lie in one piece. Copied only if needed. */
function swapped(dtype: DType, data: TypedArray, rows: number, columns: number): TypedArray {
  if (rows <= 1 || columns <= 1) return data
  const result = allocate(dtype, data.length)
  const [from, to] = [data, result] as [Float32Array, Float32Array]
  const length = data.length / rows / columns
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const [source, target] = [(row * columns + column) * length, (column * rows + row) * length]
      if (length >= SHORT_BLOCK) to.set(from.subarray(source, source + length), target)
      else for (let i = 0; i < length; i++) to[target + i] = from[source + i]
    }
  return result
}

/** Sums in float32 what MPI cannot add: float16 and bfloat16, which are rounded once. */
async function summed(x: HostTensor, sum: (wide: HostTensor) => Promise<HostTensor>): Promise<HostTensor> {
  if (!isFloat(x.dtype) || x.dtype === 'float32') return sum(x)
  const wide = {
    dtype: 'float32' as const,
    shape: [x.data.length],
    data: castHost({ ...x, shape: [x.data.length] }, 'float32').data,
  }
  const { data } = await sum(wide)
  return { ...castHost({ dtype: 'float32', shape: [data.length], data }, x.dtype), shape: x.shape }
}
