import { allocate } from '../base/dtypes.js'
import type { DType } from '../base/dtypes.js'
import { sizeOf } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { copyInto, join } from '../engine/compile/parts.js'
import type { TensorEntry, TensorSource } from './format.js'

/** A tensor in parts that cover it, such as those that the devices of a mesh hold. */
export interface SplitTensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly parts: readonly TensorPart[]
  /** Parts that other processes have. */
  readonly remote?: readonly FetchedPart[]
}

/** A part that is fetched while the tensor is written. */
export interface FetchedPart {
  readonly start: readonly number[]
  readonly shape: readonly number[]
  /** Called once for each part, in their order. */
  fetch(): Promise<HostTensor>
}

export interface TensorPart {
  /** The index of the part's first element. */
  readonly start: readonly number[]
  readonly tensor: HostTensor
}

/** A tensor as a whole or in parts. */
export type WholeOrSplit = HostTensor | SplitTensor

export const isSplit = (tensor: WholeOrSplit): tensor is SplitTensor => 'parts' in tensor

/** The tensors in memory that a whole or split one consists of. */
export const partsOf = (tensor: WholeOrSplit): readonly HostTensor[] =>
  isSplit(tensor) ? tensor.parts.map(p => p.tensor) : [tensor]

/**
 * A source of tensors. Split ones are put together row by row, never as a whole. Of parts that are fetched, one is in
 * memory at a time if the tensor is split along its first axis alone.
 */
export function splitSource(tensors: Iterable<readonly [string, WholeOrSplit]>): TensorSource {
  const all = [...tensors]
  async function* entries(): AsyncGenerator<TensorEntry> {
    for (const [name, tensor] of all) {
      if (!isSplit(tensor)) yield [name, tensor]
      // A vector's rows are single numbers.
      else if (tensor.shape.length < 2) yield [name, together(await fetched(tensor))]
      else
        for await (const group of byFirstAxis(tensor)) {
          const [first] = group.parts[0].start
          for (let i = first; i < first + group.parts[0].tensor.shape[0]; i++)
            yield [name, together(rowOf(group, i)), i]
        }
    }
  }
  return { infos: all.map(([name, { dtype, shape }]) => ({ name, dtype, shape })), entries: entries() }
}

/** The whole tensor. Of parts that are fetched, one is in memory at a time beside it. */
export async function joined(tensor: WholeOrSplit): Promise<HostTensor> {
  if (!isSplit(tensor)) return tensor
  const { remote = [] } = tensor
  if (remote.length === 0) return together(tensor)
  const { dtype, shape } = tensor
  const whole = { dtype, shape, data: allocate(dtype, sizeOf(shape)) }
  for (const { start, tensor: part } of tensor.parts) copyInto(whole, part, start)
  for (const { start, fetch } of remote) copyInto(whole, await fetch(), start)
  return whole
}

/** The tensor with all of its parts in memory. */
async function fetched({ remote = [], parts, ...type }: SplitTensor): Promise<SplitTensor> {
  const all = [...parts]
  for (const { start, fetch } of remote) all.push({ start, tensor: await fetch() })
  return { ...type, parts: all }
}

/** The parts of a tensor in groups that have the same rows, in order. */
async function* byFirstAxis(tensor: SplitTensor): AsyncGenerator<SplitTensor> {
  const { remote = [], parts, ...type } = tensor
  const isInOrder = remote.every(
    r => r.start.slice(1).every(s => s === 0) && sizeOf(r.shape.slice(1)) === sizeOf(type.shape.slice(1)),
  )
  if (isInOrder && remote.length > 0) {
    // Every part is a group of its own.
    const ordered = [...parts, ...remote].sort((a, b) => a.start[0] - b.start[0])
    for (const part of ordered)
      yield { ...type, parts: ['fetch' in part ? { start: part.start, tensor: await part.fetch() } : part] }
    return
  }
  const whole = await fetched(tensor)
  const starts = [...new Set(whole.parts.map(p => p.start[0]))].sort((a, b) => a - b)
  for (const start of starts) yield { ...type, parts: whole.parts.filter(p => p.start[0] === start) }
}

/** Row `index` of a split tensor: the rows of those parts that have it. */
function rowOf({ dtype, shape, parts }: SplitTensor, index: number): SplitTensor {
  const rows = parts.flatMap(({ start: [first, ...rest], tensor }): TensorPart[] => {
    const [count, ...row] = tensor.shape
    const at = index - first
    if (at < 0 || at >= count) return []
    const size = sizeOf(row)
    return [{ start: rest, tensor: { dtype, shape: row, data: tensor.data.subarray(at * size, (at + 1) * size) } }]
  })
  return { dtype, shape: shape.slice(1), parts: rows }
}

/** The whole tensor. */
function together({ dtype, shape, parts }: SplitTensor): HostTensor {
  if (parts.length === 1 && parts[0].tensor.shape.join() === shape.join()) return parts[0].tensor
  return join({ dtype, shape }, parts)
}
