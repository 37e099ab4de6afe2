import { sizeOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { lazyPromise } from '../../../base/promise-cache.js'
import type { StoredTensor } from '../../../base/stored-tensor.js'
import type { Aval } from '../../program/aval.js'
import type { Buffer } from '../backend.js'
import { Arenas, tensorOn } from '../wasm/arena.js'
import type { Block } from '../wasm/arena.js'

/** A buffer in plain memory, or in a block of an arena, which it holds until it is garbage-collected or donated. */
export class HostBuffer implements Buffer {
  block: Block | null = null
  /** Whether results may take its memory once it is donated. Not so for a user's own arrays. */
  recyclable = false
  constructor(
    readonly aval: Aval,
    public tensor: HostTensor,
  ) {}
  async read(): Promise<HostTensor> {
    return this.tensor
  }
}

/** A buffer of a tensor in a file, which is read into memory at the first use that needs it there. */
export class StoredBuffer implements Buffer {
  readonly aval: Aval

  constructor(readonly stored: StoredTensor) {
    const { dtype, shape } = stored
    this.aval = { dtype, shape }
  }

  /** The buffer in memory. */
  readonly load = lazyPromise(async () => new HostBuffer(this.aval, await this.stored.read()))

  async read(): Promise<HostTensor> {
    return (await this.load()).tensor
  }
}

/** The buffers, all in memory. */
export const inMemory = async (buffers: readonly Buffer[]): Promise<readonly HostBuffer[]> =>
  buffers.some(buffer => buffer instanceof StoredBuffer)
    ? Promise.all(buffers.map(buffer => (buffer instanceof StoredBuffer ? buffer.load() : (buffer as HostBuffer))))
    : (buffers as readonly HostBuffer[])

/** The memory that loops write in place: blocks of arenas, each held by one buffer. */
export class StateMemory {
  private readonly collected = new FinalizationRegistry<Block>(block => block.arena.release(block))

  constructor(readonly arenas = new Arenas()) {}

  /** A buffer in a block. The block is freed when the buffer is garbage-collected. */
  hold(aval: Aval, block: Block): HostBuffer {
    const buffer = new HostBuffer(aval, tensorOn(block, aval.shape, sizeOf(aval.shape)))
    buffer.block = block
    this.collected.register(buffer, block, buffer)
    return buffer
  }

  /**
   * Moves the values of a buffer in plain memory into a block. Only the user may refer to their old memory afterwards.
   */
  move(buffer: HostBuffer, block: Block): void {
    const { shape } = buffer.aval
    const moved = tensorOn(block, shape, sizeOf(shape))
    ;(moved.data as Float32Array).set(buffer.tensor.data as Float32Array)
    buffer.tensor = moved
    buffer.block = block
    // Results must not take memory that an arena manages.
    buffer.recyclable = false
    this.collected.register(buffer, block, buffer)
  }

  /** Takes the block away from a donated buffer. */
  take(buffer: HostBuffer): Block {
    const { block } = buffer
    if (!block) throw new Error('this buffer has no block to take')
    this.collected.unregister(buffer)
    buffer.block = null
    return block
  }
}
