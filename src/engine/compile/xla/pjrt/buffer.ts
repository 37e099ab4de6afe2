import { dtypes } from '../../../../base/dtypes.js'
import type { HostTensor } from '../../../../base/host-tensor.js'
import { bytesOfType, sizeOf } from '../../../../base/host-tensor.js'
import type { PjrtPlatform, Pointer } from './library.js'

/** An array on one device, which may still be being computed. */
export class PjrtBuffer {
  constructor(
    private readonly client: PjrtPlatform,
    readonly pointer: Pointer,
    readonly type: Pick<HostTensor, 'dtype' | 'shape'>,
    /** The JavaScript memory that the device uses, if it was not copied. */
    readonly shared: HostTensor['data'] | null = null,
  ) {}

  /** Waits until the array is computed. Throws a PjrtError if the computation failed. */
  async ready(): Promise<void> {
    const { library } = this.client
    const event = library.call('Buffer_ReadyEvent', { buffer: this.pointer })('event')
    try {
      if (library.call('Event_IsReady', { event })('is_ready')) library.call('Event_Await', { event })
      else await library.callAsync('Event_Await', { event })
    } finally {
      library.call('Event_Destroy', { event })
    }
  }

  /**
   * The array's data, once computed. On a device whose memory is the process's own it is a view, valid until the buffer
   * is destroyed or donated.
   */
  async read(): Promise<HostTensor> {
    const { library, isOnHost } = this.client
    const { dtype, shape } = this.type
    const bytes = bytesOfType(this.type)
    await this.ready()
    let memory: ArrayBuffer
    if (isOnHost) {
      const address = library.call('Buffer_UnsafePointer', { buffer: this.pointer })('buffer_pointer')
      memory = library.view(address, bytes)
    } else {
      memory = new ArrayBuffer(bytes)
      const dst = new Uint8Array(memory)
      const event = library.call('Buffer_ToHostBuffer', { src: this.pointer, dst, dst_size: bytes })('event')
      await library.callAsync('Event_Await', { event })
      library.call('Event_Destroy', { event })
    }
    return { dtype, shape, data: dtypes[dtype].make(memory, 0, sizeOf(shape)) }
  }

  /** Frees the memory, once nothing on the device uses it. */
  destroy(): void {
    this.client.library.call('Buffer_Destroy', { buffer: this.pointer })
  }
}
