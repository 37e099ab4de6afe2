import { SwitchyardError } from '../../../base/errors.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { formatAval } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import type { NamedSharding } from '../../program/sharding.js'
import type { ArrayShard, Buffer } from '../backend.js'
import { isEverywhere } from '../partition.js'

/** An array on a mesh of processes, of which this process has its part, in the memory of another backend. */
export class ProcessBuffer implements Buffer {
  private unusable: string | null = null

  constructor(
    readonly aval: Aval,
    private readonly part: Buffer,
    readonly sharding: NamedSharding,
    /** Where this process's part begins. */
    private readonly start: readonly number[],
  ) {}

  /** This process's part. Throws a SwitchyardError if the array was donated or disposed of. */
  get local(): Buffer {
    if (this.unusable !== null) throw new SwitchyardError(`this ${formatAval(this.aval)} ${this.unusable}`)
    return this.part
  }

  /** All of the array. Throws a SwitchyardError unless each process has it. */
  get whole(): Buffer {
    if (isEverywhere(this.sharding)) return this.local
    throw new SwitchyardError(
      `this ${formatAval(this.aval)} is divided over processes (${this.sharding.spec}), and only a program can gather it`,
    )
  }

  /** The part that this process has. */
  get shards(): readonly ArrayShard[] {
    const { local, start } = this
    return [{ start, shape: local.aval.shape, read: () => local.read() }]
  }

  /** Throws a SwitchyardError unless each process has all of the array: the engine gathers others by a program. */
  async read(): Promise<HostTensor> {
    return this.whole.read()
  }

  dispose(why = 'was disposed of'): void {
    if (this.unusable !== null) return
    this.unusable = why
    this.part.dispose?.()
  }

  /** Marks an array whose part a program has taken over. */
  donated(): void {
    this.unusable = 'was donated'
  }
}
