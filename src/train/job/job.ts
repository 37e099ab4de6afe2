import { deserialize, serialize } from 'node:v8'
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
    const { several, isFirst } = this
    if (several === null) return make()
    const bytes = isFirst ? new Uint8Array(serialize(await make())) : new Uint8Array()
    const length = await several.broadcast(new Uint8Array(Float64Array.of(bytes.length).buffer), 0)
    const [size] = new Float64Array(length.slice().buffer)
    return deserialize(await several.broadcast(isFirst ? bytes : new Uint8Array(size), 0)) as T
  }
}

/** The job that this process is in, by the default backend. */
export const currentJob = (): Job => new Job(defaultEngine().backend.processes ?? null)
