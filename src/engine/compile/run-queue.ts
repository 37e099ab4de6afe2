import { SwitchyardError } from '../../base/errors.js'
import { hostScalar } from '../../base/host-tensor.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import type { NamedSharding } from '../program/sharding.js'
import { leaked, Tracer } from '../program/trace.js'
import { Literal } from '../program/value.js'
import type { Value } from '../program/value.js'
import type { Backend, Buffer, Executable } from './backend.js'
import { Concrete } from './concrete.js'
import type { ArrayOwner } from './concrete.js'
import { named } from './named-error.js'

/** How the results of a program on a mesh are laid out. */
export interface ResultLayouts {
  of(output: number): Promise<NamedSharding | null>
  /** Whether it was asked for that each device has all of a result. */
  isEverywhere(output: number): boolean
}

/** One run of an executable. */
export interface Run {
  readonly executable: Promise<Executable>
  /** The types of the results. */
  readonly types: readonly Aval[]
  readonly inputs: readonly Value[]
  /** For each input, whether its memory may be written. Default: no input is donated. */
  readonly donated?: readonly boolean[]
  /** The function's name, for errors about its inputs. */
  readonly name: string
  /** What errors of compilation and computation name. Default: `name`. */
  readonly origin?: string
  /** Left out by runs on one device. */
  readonly layouts?: ResultLayouts
}

/** Runs executables on a backend, one after the other, in the order of the calls. */
export class RunQueue {
  /** Executables that are compiled. */
  private readonly compiled = new WeakMap<Promise<Executable>, Executable>()
  /** Settles when all runs so far are over. */
  private last: Promise<unknown> = Promise.resolve()
  /** How many runs are not over. */
  private running = 0

  /** `owner`: the engine that the results belong to. */
  constructor(
    private readonly backend: Backend,
    private readonly owner: ArrayOwner,
  ) {}

  /** Settles when all runs that were called for so far have begun, and have their inputs. */
  get started(): Promise<unknown> {
    return this.last
  }

  /** Remembers an executable once it is compiled, so that runs can begin at once. A failure is reported by each run. */
  expect(executable: Promise<Executable>): Promise<Executable> {
    executable.then(
      compiled => this.compiled.set(executable, compiled),
      () => undefined,
    )
    return executable
  }

  /** Releases an executable after the runs that have begun. */
  release(executable: Promise<Executable>): void {
    const before = this.last
    Promise.all([executable, before])
      .then(([e]) => e.release())
      .catch(() => undefined)
  }

  /** Queues a run behind all earlier ones: only then can no earlier run read memory that this run writes. */
  start(queued: Run): Concrete[] {
    const { executable, types, inputs, donated = [], name, origin = name, layouts } = queued
    checkDonatedOnce(inputs, donated, name)
    // All inputs are checked before any is donated.
    for (const x of inputs)
      if (x instanceof Concrete) {
        x.checkAlive()
        if (x.paged) throw x.paged.refusal(name)
      }
    const now = layouts ? null : this.runNow(queued)
    if (now) return now
    const kept = inputs.map((x, i) => (donated[i] ? null : this.bufferOf(x)))
    const donations = inputs.map((x, i) =>
      donated[i] && x instanceof Concrete && x.evaluator === this.owner ? x.donate(name) : null,
    )
    const buffers = all(inputs.map((x, i) => kept[i] ?? donations[i]?.buffer ?? this.bufferOf(x)))
    const written = new Set<Buffer>()
    const run = Promise.all([executable, buffers, this.last] as const).then(([e, ready]) =>
      e.run(ready, written, origin),
    )
    const results = run.catch(async (error: unknown) => {
      // Donated inputs that the failed run has not written are usable again: a training's state survives a failed step.
      const ready = await Promise.resolve(buffers).catch(() => [])
      donations.forEach((donation, i) => {
        if (donation && !written.has(ready[i])) donation.takeBack()
      })
      throw named(error, origin)
    })
    this.running++
    const arrays = types.map(
      (type, i) =>
        new Concrete(type, this.owner, { results, output: i }, null, layouts?.of(i), layouts?.isEverywhere(i)),
    )
    this.last = results.then(
      made => {
        this.running--
        arrays.forEach((array, i) => array.resolved(made[i]))
      },
      () => void this.running--,
    )
    return arrays
  }

  /**
   * Runs a program without a promise, which takes a few microseconds less: if the backend can start a run at once, the
   * program is compiled, no earlier run waits, and all inputs are known. Otherwise null.
   */
  private runNow({ executable, types, inputs, donated = [], name, origin = name }: Run): Concrete[] | null {
    const compiled = this.compiled.get(executable)
    if (!compiled?.runNow || this.running > 0) return null
    const buffers: Buffer[] = []
    for (const [i, x] of inputs.entries()) {
      const buffer =
        x instanceof Concrete && x.evaluator === this.owner
          ? x.bufferNow(donated[i])
          : x instanceof Literal
            ? this.backend.put(hostScalar(x.dtype, x.value))
            : null
      if (!buffer) return null
      buffers.push(buffer)
    }
    let results: readonly Buffer[] | null
    try {
      results = compiled.runNow(buffers, origin)
    } catch (error) {
      // Donated inputs are usable again, as after any run that fails before it has written.
      const failure = named(error, origin)
      return types.map(type => new Concrete(type, this.owner, Promise.reject(failure)))
    }
    if (!results) return null
    inputs.forEach((x, i) => {
      if (donated[i] && x instanceof Concrete) x.donated(name)
    })
    return types.map((type, i) => new Concrete(type, this.owner, results[i]))
  }

  /** The buffer of an array or a number, once it is computed. */
  bufferOf(x: Value): Buffer | Promise<Buffer> {
    if (x instanceof Concrete && x.evaluator === this.owner) return x.bufferNow() ?? x.buffer
    if (x instanceof Concrete) return x.read().then(tensor => this.backend.put(tensor))
    if (x instanceof Literal) return this.backend.put(hostScalar(x.dtype, x.value))
    if (x instanceof Tracer) throw leaked(x)
    throw new Error(`expected a concrete array, got ${formatAval(x.aval)}`)
  }
}

/** The buffers, or a promise of them if some are promises. */
const all = (buffers: readonly (Buffer | Promise<Buffer>)[]): readonly Buffer[] | Promise<readonly Buffer[]> =>
  buffers.some(buffer => buffer instanceof Promise) ? Promise.all(buffers) : (buffers as readonly Buffer[])

/** Throws a SwitchyardError if an array that is donated is also another input. */
function checkDonatedOnce(inputs: readonly Value[], donated: readonly boolean[], name: string): void {
  if (!donated.includes(true) || new Set(inputs).size === inputs.length) return
  inputs.forEach((x, i) => {
    if (donated[i] && (inputs.indexOf(x) !== i || inputs.includes(x, i + 1)))
      throw new SwitchyardError(
        `${name} was given the same ${formatAval(x.aval)} twice, once to be donated: pass a copy, or do not donate it`,
      )
  })
}
