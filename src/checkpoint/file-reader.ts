import type { FileHandle } from 'node:fs/promises'
import type { HostTensor } from '../base/host-tensor.js'
import { closedReader, unknownTensor } from './format.js'
import type { CheckpointReader, TensorInfo } from './format.js'

/** A checkpoint's reader over one open file: what is the same for all formats, round the reading of a tensor. */
export abstract class FileReader<T extends TensorInfo> implements CheckpointReader {
  private closed = false

  constructor(
    readonly path: string,
    readonly metadata: ReadonlyMap<string, string>,
    protected readonly handle: FileHandle,
    private readonly tensors: ReadonlyMap<string, T>,
  ) {}

  protected abstract readTensor(tensor: T): Promise<HostTensor>

  list(): readonly TensorInfo[] {
    return Array.from(this.tensors.values(), ({ name, dtype, shape }) => ({ name, dtype, shape }))
  }

  async read(name: string): Promise<HostTensor> {
    if (this.closed) throw closedReader(this.path, name)
    const tensor = this.tensors.get(name)
    if (tensor === undefined) throw unknownTensor(this.path, name, this.tensors)
    return this.readTensor(tensor)
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.handle.close()
  }
}
