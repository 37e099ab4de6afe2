import { SwitchyardError } from '../../../base/errors.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { formatAval } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import type { Buffer } from '../backend.js'
import type { PjrtBuffer } from './pjrt/buffer.js'

/** Frees the memory of buffers that were garbage-collected without `dispose`. */
const collected = new FinalizationRegistry<PjrtBuffer>(buffer => buffer.destroy())

/** Views of buffers' memory. A view keeps its buffer, and so the memory, alive. */
const views = new WeakMap<ArrayBufferLike, XlaBuffer>()

/** An array on a device. It may still be being computed; an error of the computation appears when it is read. */
export class XlaBuffer implements Buffer {
  private native: PjrtBuffer | null

  constructor(
    readonly aval: Aval,
    buffer: PjrtBuffer,
  ) {
    this.native = buffer
    collected.register(this, buffer, this)
  }

  async read(): Promise<HostTensor> {
    const tensor = await this.pjrt.read()
    views.set(tensor.data.buffer, this)
    return tensor
  }

  /** The native buffer. Throws a SwitchyardError if it was donated or disposed of. */
  get pjrt(): PjrtBuffer {
    if (!this.native) throw new SwitchyardError(`this ${formatAval(this.aval)} was donated or disposed of`)
    return this.native
  }

  /** Frees the memory at once, or when the computations that use it are done. */
  dispose(): void {
    if (!this.native) return
    collected.unregister(this)
    this.native.destroy()
    this.native = null
  }
}
