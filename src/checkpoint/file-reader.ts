import type { HostTensor } from '../base/host-tensor.js'
import type { ByteSource } from './byte-source.js'
import { closedReader, unknownTensor } from './format.js'
import type { CheckpointReader, TensorInfo } from './format.js'

/**
 * The common part of readers whose checkpoint is a single file. A subclass implements `readTensor` for its format.
 */
export abstract class FileReader<T extends TensorInfo> implements CheckpointReader {
  private closed = false

  readonly path: string
  readonly notices: readonly string[]

  /**
   * `path` is the checkpoint's path for messages, which may differ from the file's path (a folder that holds the file).
   */
  constructor(
    protected readonly source: ByteSource,
    readonly metadata: ReadonlyMap<string, string>,
    private readonly tensors: ReadonlyMap<string, T>,
    { path = source.path, notices = [] }: { path?: string; notices?: readonly string[] } = {},
  ) {
    this.path = path
    this.notices = notices
  }

  protected abstract readTensor(tensor: T): Promise<HostTensor>

  list(): readonly TensorInfo[] {
    return Array.from(this.tensors.values(), ({ name, dtype, shape }) => ({ name, dtype, shape }))
  }

  async read(name: string): Promise<HostTensor> {
    return this.readTensor(this.find(name))
  }

  /** The entry of a tensor that is to be read. Throws a FileError if there is none, or if the reader is closed. */
  protected find(name: string): T {
    if (this.closed) throw closedReader(this.path, name)
    const tensor = this.tensors.get(name)
    if (tensor === undefined) throw unknownTensor(this.path, name, this.tensors)
    return tensor
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.source.close?.()
  }
}
