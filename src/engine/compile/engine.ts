import { ComputationError, SwitchyardError } from '../../base/errors.js'
import { hostScalar } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { StoredTensor } from '../../base/stored-tensor.js'
import { cachedPromise } from '../../base/promise-cache.js'
import { Lru } from '../../base/lru.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import type { PrimitiveName } from '../program/primitives.js'
import type { Equation, PrimitiveParams } from '../program/program.js'
import { Program, Var } from '../program/program.js'
import { leaked, Tracer } from '../program/trace.js'
import { Literal, Value } from '../program/value.js'
import type { Evaluator } from '../program/value.js'
import { NamedSharding, P } from '../program/sharding.js'
import type { Backend, Buffer, Executable, Partition, ProgramsAtSizes } from './backend.js'
import { CompileClock } from './compile-clock.js'
import { compilePaged } from './paged/compile-paged.js'
import { PagedBuffer } from './paged/paged-buffer.js'
import type { Pages } from './paged/pages.js'
import { checkDevices, isEverywhere, meshOf, partitionKey, partitionOf, resultLayouts } from './partition.js'

/** An array that is computed, or is being computed: a future of a backend's buffer. */
export class Concrete extends Value {
  /** Why the array can no longer be used: donated to whom, or owned by whom. */
  private unusable: string | null = null
  /** Reads that have begun. Its memory may be written when they are done. */
  private reads: Set<Promise<unknown>> | null = null
  private future: Promise<Buffer> | null = null
  /** The buffer, if it is known already. */
  private made: Buffer | null = null

  constructor(
    readonly aval: Aval,
    override readonly evaluator: Engine,
    buffer: Promise<Buffer> | Buffer,
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
    } else this.made = buffer
    sharding?.catch(() => undefined)
  }

  /** The buffer, once computed. Throws a SwitchyardError when it was donated. */
  get buffer(): Promise<Buffer> {
    this.checkAlive()
    return (this.future ??= Promise.resolve(this.made!))
  }

  /** The buffer, if a program can use it now, and may be given it if it `isDonated`: no read still uses it. */
  bufferNow(isDonated = false): Buffer | null {
    return isDonated && this.reads !== null && this.reads.size > 0 ? null : this.made
  }

  /** Tells the buffer, once it is computed. */
  resolved(buffer: Buffer): void {
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
    const { buffer } = this
    const now = this.bufferNow(true)
    this.donated(to)
    return {
      buffer: now ?? Promise.all(this.reads ?? []).then(() => buffer),
      takeBack: () => {
        this.unusable = null
        this.future = buffer
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
  }

  /** Throws a SwitchyardError if it was donated or released. */
  checkAlive(): void {
    if (this.unusable !== null) throw new SwitchyardError(`this ${formatAval(this.aval)} ${this.unusable}`)
  }
}

/** A function compiled with its weights: see `Backend.compileWithWeights`. */
export interface FunctionWithWeights {
  /** Once compiled: the positions of the weights that were copied, and whose arrays are therefore no longer needed. */
  readonly copied: Promise<readonly number[]>
  /** Once compiled: see `CompiledWithWeights`. */
  readonly eachSizeBecause: Promise<string | undefined>
  /** The function at the sizes of this program. */
  at(program: Program): FunctionAtSizes
}

/** A function with weights, at one set of sizes of its other inputs. */
export interface FunctionAtSizes {
  /** Settles when it is compiled. Rejects if that fails, as each run does. */
  readonly compiled: Promise<unknown>
  run(others: readonly Value[]): Concrete[]
  /** Frees what only these sizes need, after the runs that have begun. It cannot run afterwards. */
  release(): void
}

/** How the results of a program on a mesh are laid out. */
interface ResultLayouts {
  of(output: number): Promise<NamedSharding | null>
  /** Whether it was asked for that each device has all of a result. */
  isEverywhere(output: number): boolean
}

/**
 * How many programs are kept compiled. Each has a session of ONNX Runtime, which takes 100 kB or more and has its own
 * threads. A training run needs about ten, an interactive session some dozens.
 */
const MAX_PROGRAMS = 256

/**
 * Runs programs, and single primitives outside of `jit`, on a backend, one after the other. Keeps compiled programs in
 * a cache.
 */
export class Engine implements Evaluator {
  /** How long programs have been compiled. */
  readonly compiling = new CompileClock()
  /**
   * The keys of programs in `byText`, for each mask of donated inputs. They are kept because writing a large program as
   * text takes long.
   */
  private readonly keys = new WeakMap<Program, Map<string, string>>()
  /** Executables by the text of their program, preceded by the mask of donated inputs. */
  private readonly byText: Lru<string, Promise<Executable>>
  /** Executables that are compiled. */
  private readonly compiled = new WeakMap<Promise<Executable>, Executable>()
  /** Settles when all runs so far are over. */
  private last: Promise<unknown> = Promise.resolve()
  /** How many runs are not over. */
  private running = 0

  /** `maxPrograms`: how many programs are kept compiled; the least recently used is released first. */
  constructor(
    readonly backend: Backend,
    maxPrograms = MAX_PROGRAMS,
  ) {
    this.byText = new Lru(maxPrograms, executable => this.release(executable))
  }

  /** Settles when all runs that were called for so far have begun, and have their inputs. */
  get started(): Promise<unknown> {
    return this.last
  }

  /** How many programs are compiled now. */
  get numPrograms(): number {
    return this.byText.size
  }

  put(tensor: HostTensor): Concrete {
    return new Concrete({ dtype: tensor.dtype, shape: tensor.shape }, this, this.backend.put(tensor))
  }

  /** An array over host data that is still being read: on a mesh, each device of which gets its part, or on one. */
  putLater({ dtype, shape }: Aval, tensor: Promise<HostTensor>, sharding: NamedSharding | null): Concrete {
    if (sharding) checkDevices(this.backend, sharding.mesh)
    const buffer = tensor.then(t => this.backend.put(t, sharding ?? undefined))
    const isWhole = sharding === null || isEverywhere(sharding)
    return new Concrete({ dtype, shape }, this, buffer, null, sharding && Promise.resolve(sharding), isWhole)
  }

  /** An array whose data is in a file. It is read when a program needs it in memory. */
  putStored(tensor: StoredTensor): Concrete {
    const { backend } = this
    const { dtype, shape } = tensor
    const buffer = backend.putStored?.(tensor) ?? tensor.read().then(data => backend.put(data))
    return new Concrete({ dtype, shape }, this, buffer)
  }

  /** An array whose data is not in memory: see `PagedBuffer`. */
  paged(type: Aval, pages: Pages, part: number): Concrete {
    const buffer = new PagedBuffer(type, pages, part)
    return new Concrete(type, this, buffer, buffer)
  }

  evaluate<P extends PrimitiveName>(
    primitive: P,
    inputs: readonly Value[],
    params: PrimitiveParams[P],
    outputs: readonly Aval[],
  ): Concrete[] {
    // Literals are inputs here, so that the same operation on another number is the same program.
    const vars = inputs.map(x => new Var(x.aval))
    const results = outputs.map(a => new Var(a))
    const eqn = { primitive, inputs: vars, params, outputs: results } as unknown as Equation
    const program = new Program(vars, [eqn], results)
    if (isOnMesh(program, inputs)) return this.runOnMesh(program, inputs, [], primitive, null)
    return this.start(this.compileText(program.toString(), program), outputs, inputs, [], primitive)
  }

  /**
   * Runs a program; returns futures at once. Donated inputs may not be used again. `name`: the function's name, for
   * errors. `partition`: the mesh and the layouts that its inputs and results must have. `origin`: what errors of
   * compilation and computation name.
   */
  run(
    program: Program,
    inputs: readonly Value[],
    donated: readonly boolean[] = [],
    name = 'a program',
    partition: Partition | null = null,
    origin = name,
  ): Concrete[] {
    if (partition || isOnMesh(program, inputs)) return this.runOnMesh(program, inputs, donated, name, partition, origin)
    const types = program.outputs.map(o => o.aval)
    return this.start(this.compile(program, donated), types, inputs, donated, name, origin)
  }

  /** As `run`. What to compile depends on how the inputs are laid out, which may only be known later. */
  private runOnMesh(
    program: Program,
    inputs: readonly Value[],
    donated: readonly boolean[],
    name: string,
    given: Partition | null,
    origin = name,
  ): Concrete[] {
    if (given) checkDevices(this.backend, given.mesh)
    const types = program.outputs.map(o => o.aval)
    const executable = Promise.all(inputs.map(x => (x instanceof Concrete ? x.sharding : null))).then(shardings =>
      this.compile(program, donated, partitionOf(this.backend, program, given, shardings)),
    )
    const known = resultLayouts(program)
    return this.start(executable, types, inputs, donated, name, origin, {
      of: i => executable.then(e => e.shardings?.[i] ?? null),
      isEverywhere: i => {
        const spec = given?.outputs[i]
        const layout = spec ? new NamedSharding(given!.mesh, spec) : known[i]
        return layout !== null && isEverywhere(layout)
      },
    })
  }

  /** The executable of a program. A program that equals an earlier one is not compiled again. */
  compile(program: Program, donated: readonly boolean[] = [], partition: Partition | null = null): Promise<Executable> {
    const mask = donated.map(Number).join('') + (partition ? ` ${partitionKey(partition)}` : '')
    let versions = this.keys.get(program)
    if (!versions) this.keys.set(program, (versions = new Map()))
    let key = versions.get(mask)
    if (key === undefined) versions.set(mask, (key = `${mask} ${program}`))
    return this.compileText(key, program, donated, partition)
  }

  /**
   * Compiles a function some of whose inputs, its weights, are the same arrays at each run (null: not a weight; see
   * `Backend.compileWithWeights`). `examples` are its programs at three different sizes.
   */
  compileWithWeights(
    examples: ProgramsAtSizes,
    weights: readonly (Value | null)[],
    donated: readonly boolean[] = [],
    name = 'a function',
  ): FunctionWithWeights {
    const whole = weights.map(v => (v instanceof Concrete ? v.evaluator.whole(v) : v))
    const compiled = Promise.all(whole.map(v => v && this.bufferOf(v))).then(buffers =>
      buffers.some(b => b instanceof PagedBuffer)
        ? compilePaged(this.backend, examples, buffers, donated, name)
        : this.compiling.count(this.backend.compileWithWeights(examples, buffers, donated)),
    )
    // A failure is reported by each run, not as an unhandled rejection.
    compiled.catch(() => undefined)
    const eachSizeBecause = compiled.then(c => c.eachSizeBecause)
    eachSizeBecause.catch(() => undefined)
    const donatedOthers = donated.filter((_, i) => weights[i] === null)
    return {
      copied: compiled.then(c => c.copied),
      eachSizeBecause,
      at: program => {
        const executable = compiled.then(c => this.compiling.count(c.at(program)))
        this.watch(executable)
        const types = program.outputs.map(o => o.aval)
        return {
          compiled: executable,
          run: others => this.start(executable, types, others, donatedOthers, name),
          release: () => this.release(executable),
        }
      },
    }
  }

  /**
   * The array, all of which this process has: itself, or a copy that is gathered from other processes. These have to
   * call this, too, between the same runs.
   */
  whole(x: Concrete): Concrete {
    if (!this.backend.processes || x.isEverywhere || x.sharding === null) return x
    const v = new Var(x.aval)
    const program = new Program([v], [], [v])
    const executable = x.sharding.then(s =>
      this.compile(program, [], s && { mesh: s.mesh, inputs: [s.spec], outputs: [P()] }),
    )
    return this.start(executable, [x.aval], [x], [], 'reading an array')[0]
  }

  private compileText(
    key: string,
    program: Program,
    donated: readonly boolean[] = [],
    partition: Partition | null = null,
  ): Promise<Executable> {
    return cachedPromise(this.byText, key, () => {
      const executable = this.compiling.count(this.backend.compile(program, donated, partition ?? undefined))
      this.watch(executable)
      return executable
    })
  }

  /** Releases an executable after the runs that have begun. */
  private release(executable: Promise<Executable>): void {
    const before = this.last
    Promise.all([executable, before])
      .then(([e]) => e.release())
      .catch(() => undefined)
  }

  /** Remembers an executable once it is compiled. A failure is reported by each run. */
  private watch(executable: Promise<Executable>): void {
    executable.then(
      compiled => this.compiled.set(executable, compiled),
      () => undefined,
    )
  }

  /** Queues a run behind all earlier ones: only then can no earlier run read memory that this run writes. */
  private start(
    executable: Promise<Executable>,
    types: readonly Aval[],
    inputs: readonly Value[],
    donated: readonly boolean[],
    name: string,
    origin = name,
    layouts?: ResultLayouts,
  ): Concrete[] {
    checkDonatedOnce(inputs, donated, name)
    // All inputs are checked before any is donated.
    for (const x of inputs)
      if (x instanceof Concrete) {
        x.checkAlive()
        if (x.paged) throw x.paged.refusal(name)
      }
    const now = layouts ? null : this.runNow(executable, types, inputs, donated, name, origin)
    if (now) return now
    const kept = inputs.map((x, i) => (donated[i] ? null : this.bufferOf(x)))
    const donations = inputs.map((x, i) =>
      donated[i] && x instanceof Concrete && x.evaluator === this ? x.donate(name) : null,
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
        new Concrete(
          type,
          this,
          results.then(r => r[i]),
          null,
          layouts?.of(i),
          layouts?.isEverywhere(i),
        ),
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
  private runNow(
    executable: Promise<Executable>,
    types: readonly Aval[],
    inputs: readonly Value[],
    donated: readonly boolean[],
    name: string,
    origin: string,
  ): Concrete[] | null {
    const compiled = this.compiled.get(executable)
    if (!compiled?.runNow || this.running > 0) return null
    const buffers: Buffer[] = []
    for (const [i, x] of inputs.entries()) {
      const buffer =
        x instanceof Concrete && x.evaluator === this
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
      return types.map(type => new Concrete(type, this, Promise.reject(failure)))
    }
    if (!results) return null
    inputs.forEach((x, i) => {
      if (donated[i] && x instanceof Concrete) x.donated(name)
    })
    return types.map((type, i) => new Concrete(type, this, results[i]))
  }

  private bufferOf(x: Value): Buffer | Promise<Buffer> {
    if (x instanceof Concrete && x.evaluator === this) return x.bufferNow() ?? x.buffer
    if (x instanceof Concrete) return x.read().then(tensor => this.backend.put(tensor))
    if (x instanceof Literal) return this.backend.put(hostScalar(x.dtype, x.value))
    if (x instanceof Tracer) throw leaked(x)
    throw new Error(`expected a concrete array, got ${formatAval(x.aval)}`)
  }
}

/**
 * Errors whose messages begin with a function. An array that was to be computed from a failed one fails with the same.
 */
const namedErrors = new WeakSet<Error>()

/** An error of a library's compilation or run, whose message is made to begin with the function. */
function named(error: unknown, origin: string): unknown {
  if (!(error instanceof Error) || namedErrors.has(error)) return error
  namedErrors.add(error)
  const isForeign = error instanceof ComputationError || !(error instanceof SwitchyardError)
  if (isForeign && !error.message.startsWith(origin)) error.message = `${origin}: ${error.message}`
  return error
}

/** Whether a program, or one of its inputs, is on a mesh of devices. */
const isOnMesh = (program: Program, inputs: readonly Value[]): boolean =>
  inputs.some(x => x instanceof Concrete && x.sharding !== null) || meshOf(program) !== null

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
