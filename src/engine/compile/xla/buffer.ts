import { SwitchyardError } from '../../../base/errors.js'
import { bytesOfType } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { formatAval } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import { shardStarts } from '../../program/sharding.js'
import type { NamedSharding } from '../../program/sharding.js'
import type { ArrayShard, Buffer } from '../backend.js'
import type { DeviceMemory } from './memory.js'
import { join } from '../parts.js'
import type { PjrtBuffer } from './pjrt/buffer.js'

/** The native memory of an array: one buffer for each device. */
class Memory {
  private readonly bytes: number
  private isFreed = false

  constructor(
    readonly parts: readonly PjrtBuffer[],
    private readonly counter: DeviceMemory,
  ) {
    this.bytes = parts.reduce((n, part) => n + bytesOfType(part.type), 0)
    counter.allocated(this.bytes)
    live.add(this)
  }

  /** Frees the memory, unless that has been done. */
  free(): void {
    if (this.isFreed) return
    this.isFreed = true
    live.delete(this)
    for (const part of this.parts) part.destroy()
    this.counter.freed(this.bytes)
  }
}

/** The memory that is not freed. The registry below refers to it too, so this set keeps nothing longer. */
const live = new Set<Memory>()

/**
 * Waits until all arrays are computed, for `seconds` at most, and blocks JavaScript meanwhile. Call it before the
 * process ends: XLA's threads crash it if they still compute while its libraries are unloaded.
 */
export function finishComputing(seconds: number): void {
  const end = performance.now() + 1000 * seconds
  for (const { parts } of live) for (const part of parts) if (!part.readyBefore(end)) return
}

/** Frees the memory of arrays that were garbage-collected without `dispose`. */
const collected = new FinalizationRegistry<Memory>(memory => memory.free())

/** The arrays whose memory is shown by a view: it stays as long as the view. */
const owners = new WeakMap<ArrayBufferLike, XlaBuffer>()

/** An array on one device, or on the devices of a mesh. It may still be being computed. */
export class XlaBuffer implements Buffer {
  private readonly memory: Memory
  private unusable: string | null = null
  /** The data that was read from each part, which may be a view of the memory, and may still be in use. */
  private views: Map<PjrtBuffer, WeakRef<HostTensor['data']>> | undefined

  constructor(
    readonly aval: Aval,
    parts: readonly PjrtBuffer[],
    counter: DeviceMemory,
    readonly sharding?: NamedSharding,
    /** The name of the function that computed it, for errors. */
    private readonly origin?: string,
  ) {
    this.memory = new Memory(parts, counter)
    // It is never unregistered: a token for that makes each array cost more than freeing its memory twice in vain.
    collected.register(this, this.memory)
  }

  /** The native buffer on each device. Throws a SwitchyardError if the array was donated or disposed of. */
  get parts(): readonly PjrtBuffer[] {
    if (this.unusable !== null) throw new SwitchyardError(`this ${formatAval(this.aval)} ${this.unusable}`)
    return this.memory.parts
  }

  get shards(): readonly ArrayShard[] | undefined {
    const { parts, sharding } = this
    if (!sharding) return undefined
    const starts = shardStarts(this.aval.shape, sharding)
    const first = new Map<string, ArrayShard>()
    parts.forEach((part, i) => {
      const key = starts[i].join()
      const shard = { start: starts[i], shape: part.type.shape, read: () => this.view(part) }
      if (!first.has(key)) first.set(key, shard)
    })
    return [...first.values()]
  }

  async read(): Promise<HostTensor> {
    const { shards, parts } = this
    if (!shards) return this.view(parts[0])
    if (shards.length === 1) return shards[0].read()
    return join(this.aval, await Promise.all(shards.map(async ({ start, read }) => ({ start, tensor: await read() }))))
  }

  private async view(part: PjrtBuffer): Promise<HostTensor> {
    const { dtype, shape } = part.type
    const known = this.views?.get(part)?.deref()
    if (known) return { dtype, shape, data: known }
    let data: HostTensor['data']
    try {
      data = (await part.read()).data
    } catch (error) {
      if (error instanceof SwitchyardError && this.origin) error.message = `${this.origin}: ${error.message}`
      throw error
    }
    owners.set(data.buffer, this)
    this.views ??= new Map()
    this.views.set(part, new WeakRef(data))
    return { dtype, shape, data }
  }

  /**
   * Frees the memory: at once, or when runs and views of it (see `read`) no longer use it. The array cannot be used
   * afterwards. `why`: what happened to it, for errors.
   */
  dispose(why = 'was disposed of'): void {
    if (this.unusable !== null) return
    this.unusable = why
    // A view's memory is freed when the view is collected, by the registry.
    if ([...(this.views?.values() ?? [])].some(view => view.deref() !== undefined)) return
    this.memory.free()
  }
}
