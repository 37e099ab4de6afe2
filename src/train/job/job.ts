import { deserialize, serialize } from 'node:v8'
import { FileError, SwitchyardError } from '../../base/errors.js'
import type { Communicator } from '../../engine/compile/processes/communicator.js'
import { defaultEngine } from '../../engine/api/engine.js'
import { everyone } from '../../engine/compile/processes/communicator.js'

/**
 * The processes that make a run together. Process 0 holds the lock of the run's folder, writes its files, and tells the
 * others what they need. A process by itself is a job of one.
 */
export class Job {
  constructor(private readonly processes: Communicator | null) {}

  /** Whether this process writes the run's files. */
  get isFirst(): boolean {
    return this.processes === null || this.processes.rank === 0
  }

  /** The processes, if there are several. */
  get several(): Communicator | null {
    return this.processes !== null && this.processes.size > 1 ? this.processes : null
  }

  /** Whether something is so on any of the processes. All call this. */
  async any(isSo: boolean): Promise<boolean> {
    if (this.several === null) return isSo
    const [most] = await this.several.reduce(Int32Array.of(Number(isSo)), 'max', everyone(this.several))
    return most !== 0
  }

  /** What `make` gives on process 0, on all processes, which all call this. It is data that `structuredClone` takes. */
  async fromFirst<T>(make: () => Promise<T>): Promise<T> {
    return this.from(0, make)
  }

  /**
   * Each process does its share of a work. If some fail, all throw the error of the first of those: a FileError if it
   * is one, so that all go on alike, or else a SwitchyardError. All call this. `work`: gets the number of this process
   * and how many there are.
   */
  async share(work: (rank: number, size: number) => Promise<void>): Promise<void> {
    const { several } = this
    if (several === null) return work(0, 1)
    const { rank, size } = several
    const failure = await work(rank, size).then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    const [failed] = await several.reduce(Int32Array.of(failure ? size - rank : 0), 'max', everyone(several))
    if (failed === 0) return
    const first = Number(size - Number(failed))
    const { message, isOfFile } = await this.from(first, async () => {
      const { error } = failure!
      return { message: messageOf(error), isOfFile: error instanceof FileError }
    })
    throw first === rank ? failure!.error : new (isOfFile ? FileError : SwitchyardError)(message)
  }

  /** What `make` gives on process `root`, on all processes. */
  private async from<T>(root: number, make: () => Promise<T>): Promise<T> {
    const { several } = this
    if (several === null) return make()
    const isRoot = several.rank === root
    const bytes = isRoot ? new Uint8Array(serialize(await make())) : new Uint8Array()
    const length = await several.broadcast(new Uint8Array(Float64Array.of(bytes.length).buffer), root)
    const [size] = new Float64Array(length.slice().buffer)
    return deserialize(await several.broadcast(isRoot ? bytes : new Uint8Array(size), root)) as T
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The job that this process is in, by the default backend. */
export const currentJob = (): Job => new Job(defaultEngine().backend.processes ?? null)
