import { dtypes } from '../../../../base/dtypes.js'
import type { HostTensor } from '../../../../base/host-tensor.js'
import { bytesOfType, sizeOf } from '../../../../base/host-tensor.js'
import type { PjrtPlatform } from './library.js'
import type { Pointer } from './struct.js'

/** JavaScript memory that a device uses in place, and the event after which it does not. */
export interface SharedMemory {
  readonly data: HostTensor['data']
  readonly done: Pointer
}

/** An array on one device, which may still be being computed. */
export class PjrtBuffer {
  constructor(
    private readonly platform: PjrtPlatform,
    readonly pointer: Pointer,
    readonly type: Pick<HostTensor, 'dtype' | 'shape'>,
    /** The memory of the host's array, unless it was copied. */
    private readonly shared: SharedMemory | null = null,
  ) {}

  /** Waits until the array is computed, without blocking JavaScript. Throws a PjrtError if the computation failed. */
  async ready(): Promise<void> {
    const { library } = this.platform
    await library.finish(library.call('Buffer_ReadyEvent', { buffer: this.pointer })('event'))
  }

  /** Blocks JavaScript until the array is computed or has failed. Returns false if that takes beyond a time. */
  readyBefore(time: number): boolean {
    const { library } = this.platform
    const event = library.call('Buffer_ReadyEvent', { buffer: this.pointer })('event')
    while (!library.call('Event_IsReady', { event })('is_ready')) {
      if (performance.now() > time) return false
      Atomics.wait(bell, 0, 0, 1)
    }
    library.call('Event_Destroy', { event })
    return true
  }

  /**
   * The array's data, once computed. On a device whose memory is the process's own it is a view, valid until the buffer
   * is destroyed or donated.
   */
  async read(): Promise<HostTensor> {
    await this.ready()
    const { library, isOnHost } = this.platform
    const { dtype, shape } = this.type
    const bytes = bytesOfType(this.type)
    let memory: ArrayBuffer
    if (bytes === 0) memory = new ArrayBuffer(0)
    else if (isOnHost) {
      const address = library.call('Buffer_UnsafePointer', { buffer: this.pointer })('buffer_pointer')
      memory = library.view(address, bytes)
    } else {
      memory = new ArrayBuffer(bytes)
      const dst = new Uint8Array(memory)
      const event = library.call('Buffer_ToHostBuffer', { src: this.pointer, dst, dst_size: bytes })('event')
      await library.finish(event, [dst])
    }
    return { dtype, shape, data: dtypes[dtype].make(memory, 0, sizeOf(shape)) }
  }

  /** Frees the memory, once nothing on the device uses it. */
  destroy(): void {
    const { library } = this.platform
    library.destroyBuffer(this.pointer)
    if (this.shared) library.keepUntil(this.shared.done, this.shared.data)
  }
}

/** Nothing rings it: a wait for it is a pause. */
const bell = new Int32Array(new SharedArrayBuffer(4))
