import { SwitchyardError } from '../../base/errors.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import type { NamedSharding } from '../program/sharding.js'
import { Value } from '../program/value.js'
import type { Evaluator } from '../program/value.js'
import type { Buffer } from './backend.js'
import type { PagedBuffer } from './paged/paged-buffer.js'

/** The engine that computes an array, as far as the array needs it. */
export interface ArrayOwner extends Evaluator {
  /** Settles when all runs that were called for so far have begun, and have their inputs. */
  readonly started: Promise<unknown>
  /** The array, all of which this process has: itself, or a copy that is gathered from other processes. */
  whole(x: Concrete): Concrete
}

/** A result of a run that may not be over. */
export interface RunResult {
  readonly results: Promise<readonly Buffer[]>
  /** Its position among the results. */
  readonly output: number
}

/** An array that is computed, or is being computed: a future of a backend's buffer. */
export class Concrete extends Value {
  /** Why the array can no longer be used: donated to whom, or owned by whom. */
  private unusable: string | null = null
  /** Reads that have begun. Its memory may be written when they are done. */
  private reads: Set<Promise<unknown>> | null = null
  private future: Promise<Buffer> | null = null
  /** The buffer, if it is known already. */
  private made: Buffer | null = null
  /** The run that computes the buffer, until it is known. Most results are used after that, without a future. */
  private run: RunResult | null = null

  constructor(
    readonly aval: Aval,
    override readonly evaluator: ArrayOwner,
    buffer: Promise<Buffer> | RunResult | Buffer,
    /** The buffer of an array whose data is not in memory. */
    readonly paged: PagedBuffer | null = null,
    /** How the array is laid out over a mesh of devices, once that is known; null for an array on one device. */
    readonly sharding: Promise<NamedSharding | null> | null = null,
    /** Whether it is known from the beginning that each device has all of the array. */
    readonly isEverywhere = sharding === null,
  ) {
    super()
    if (buffer instanceof Promise) {
      this.future = buffer
      // A failed computation is an error for those who read the array, not an unhandled rejection.
      buffer.catch(() => undefined)
    } else if ('results' in buffer) this.run = buffer
    else this.made = buffer
    sharding?.catch(() => undefined)
  }

  /** The buffer, once computed. Throws a SwitchyardError when it was donated. */
  get buffer(): Promise<Buffer> {
    this.checkAlive()
    return (this.future ??= this.made ? Promise.resolve(this.made) : resultOf(this.run!))
  }

  /** The buffer, if a program can use it now, and may be given it if it `isDonated`: no read still uses it. */
  bufferNow(isDonated = false): Buffer | null {
    return isDonated && this.reads !== null && this.reads.size > 0 ? null : this.made
  }

  /** Tells the buffer, once it is computed. */
  resolved(buffer: Buffer): void {
    this.run = null
    if (this.unusable === null) this.made = buffer
  }

  /** The data, once computed. It may be the buffer's own memory, so it is valid only until the array is donated. */
  read(): Promise<HostTensor> {
    this.checkAlive()
    const whole = this.evaluator.whole(this)
    if (whole !== this) return whole.read()
    const read = this.buffer.then(b => b.read())
    const reads = (this.reads ??= new Set())
    // It leaves the set before the caller goes on, who may donate the array.
    const leave = (): void => void reads.delete(done)
    const done = read.then(leave, leave)
    reads.add(done)
    return read
  }

  /**
   * Donates the buffer to the function `to`: the array cannot be used any more. `buffer` resolves when all reads that
   * have begun are done. `takeBack` makes the array usable again, for a run that failed before it wrote to the buffer.
   */
  donate(to: string): { buffer: Buffer | Promise<Buffer>; takeBack: () => void } {
    const now = this.bufferNow(true)
    const buffer = now ?? this.buffer
    this.donated(to)
    return {
      buffer: now ?? Promise.all(this.reads ?? []).then(() => buffer),
      takeBack: () => {
        this.unusable = null
        this.made = now
        this.future = now ? null : (buffer as Promise<Buffer>)
      },
    }
  }

  /** Says that the buffer was donated to the function `to`: the array cannot be used any more. */
  donated(to: string): void {
    this.invalidate(`was donated to ${to} and its memory holds something else now: use what that returned instead`)
  }

  /** Frees the memory, because `owner` keeps the data in another form. The array cannot be used any more. */
  release(owner: string): void {
    if (this.unusable === null)
      this.invalidate(`belongs to ${owner}, which keeps it in another form: load it again for other uses`)
  }

  /** Frees the memory once the runs and reads that have begun are over. The array cannot be used any more. */
  dispose(): void {
    if (this.unusable !== null) return
    const { buffer } = this
    this.invalidate('was disposed of: keep it until its last use')
    void Promise.allSettled([buffer, this.evaluator.started, ...(this.reads ?? [])]).then(([made]) => {
      if (made.status === 'fulfilled') made.value.dispose?.()
    })
  }

  private invalidate(why: string): void {
    this.unusable = why
    this.future = null
    this.made = null
    this.run = null
  }

  /** Throws a SwitchyardError if it was donated or released. */
  checkAlive(): void {
    if (this.unusable !== null) throw new SwitchyardError(`this ${formatAval(this.aval)} ${this.unusable}`)
  }
}

/** The buffer of a run's result. A failed run is an error for those who read the array, not an unhandled rejection. */
function resultOf({ results, output }: RunResult): Promise<Buffer> {
  const buffer = results.then(all => all[output])
  buffer.catch(() => undefined)
  return buffer
}
