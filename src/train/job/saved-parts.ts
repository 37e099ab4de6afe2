/** How process 0 gets arrays whose parts other processes have: these send them one after the other. */
import { allocate } from '../../base/dtypes.js'
import { bytesOf, bytesOfType, sizeOf, tensorFromBytes } from '../../base/host-tensor.js'
import { leavesWithPaths, treeFromPaths } from '../../base/pytree.js'
import { joined } from '../../checkpoint/split-tensor.js'
import type { FetchedPart, WholeOrSplit } from '../../checkpoint/split-tensor.js'
import { shardsOf } from '../../engine/api/mesh.js'
import { fromHost, hostView } from '../../engine/api/tensor.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import { shardShape, shardStarts } from '../../engine/program/sharding.js'
import type { NamedSharding } from '../../engine/program/sharding.js'
import { currentJob } from './job.js'

/** The part of each process: where it begins, and whether it is the first process that has it. */
function partsOf(shape: readonly number[], sharding: NamedSharding): { start: readonly number[]; isFirst: boolean }[] {
  const starts = shardStarts(shape, sharding)
  return starts.map((start, rank) => ({
    start,
    isFirst: starts.findIndex(other => other.join() === start.join()) === rank,
  }))
}

/** On process 0: the parts of an array that it does not have. They are received one by one, in this order. */
function remoteParts({ dtype, shape }: Tensor, sharding: NamedSharding): FetchedPart[] {
  const { several, isFirst } = currentJob()
  if (several === null || !isFirst) return []
  const part = shardShape(shape, sharding)
  return partsOf(shape, sharding).flatMap(({ start, isFirst: isSent }, rank): FetchedPart[] => {
    if (!isSent || rank === 0) return []
    const fetch = async (): Promise<ReturnType<typeof tensorFromBytes>> => {
      if (sizeOf(part) === 0) return { dtype, shape: part, data: allocate(dtype, 0) }
      return tensorFromBytes(dtype, part, await several.receive(bytesOfType({ dtype, shape: part }), rank))
    }
    return [{ start, shape: part, fetch }]
  })
}

/** The arrays as wholes on process 0; null on the other processes, which send their parts. */
export async function gatherOnFirst(tree: TensorTree): Promise<TensorTree | null> {
  if (!currentJob().isFirst) {
    await sendParts(tree)
    return null
  }
  const wholes: [string, Tensor][] = []
  for (const [path, array] of leavesWithPaths<Tensor>(tree))
    wholes.push([path, fromHost(await joined(await viewOf(array)))])
  return treeFromPaths(wholes)
}

/**
 * An array's own memory: valid until the array is donated. Of an array on a mesh, the parts that the devices of this
 * process hold, and on process 0 of several how to fetch the others.
 */
export async function viewOf(array: Tensor): Promise<WholeOrSplit> {
  const shards = await shardsOf(array)
  if (!shards) return hostView(array)
  const { dtype, shape } = array
  const parts = await Promise.all(shards.map(async s => ({ start: s.start, tensor: await s.read() })))
  const sharding = await array.sharding()
  return { dtype, shape, parts, ...(sharding && { remote: remoteParts(array, sharding) }) }
}

/** On the other processes: sends this process's parts of arrays to process 0, in the order in which it saves them. */
export async function sendParts(tree: TensorTree): Promise<void> {
  const { several } = currentJob()
  if (several === null) return
  for (const [, array] of leavesWithPaths<Tensor>(tree)) {
    const sharding = await array.sharding()
    const shards = await shardsOf(array)
    if (sharding === null || shards === null) continue
    const [{ shape, read }] = shards
    if (!partsOf(array.shape, sharding)[several.rank].isFirst || sizeOf(shape) === 0) continue
    await several.send(bytesOf(await read()), 0)
  }
}
