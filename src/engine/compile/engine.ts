import { SwitchyardError } from '../../base/errors.js'
import { hostScalar } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { Lru } from '../../base/lru.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import type { PrimitiveName } from '../program/primitives.js'
import type { Equation, PrimitiveParams } from '../program/program.js'
import { Program, Var } from '../program/program.js'
import { leaked, Tracer } from '../program/trace.js'
import { Literal, Value } from '../program/value.js'
import type { Evaluator } from '../program/value.js'
import type { Backend, Buffer, Executable, ProgramsAtSizes } from './backend.js'

/** An array that exists, or is being computed: a future for a backend's buffer. */
export class Concrete extends Value {
  /** Why its data is not there any more. */
  private gone: string | null = null
  private readonly reads = new Set<Promise<unknown>>()
  private future: Promise<Buffer> | null

  constructor(
    readonly aval: Aval,
    override readonly evaluator: Engine,
    future: Promise<Buffer>,
  ) {
    super()
    this.future = future
    // A failed computation is reported to whoever reads the array, not as an unhandled rejection.
    future.catch(() => undefined)
  }

  /** The buffer, once computed. Throws a SwitchyardError when it was donated. */
  get buffer(): Promise<Buffer> {
    this.checkAlive()
    return this.future!
  }

  /** The data, once computed, for as long as the array is not donated: it may be the buffer's own memory. */
  read(): Promise<HostTensor> {
    const read = this.buffer.then(b => b.read())
    const done = read.catch(() => undefined)
    this.reads.add(done)
    void done.then(() => this.reads.delete(done))
    return read
  }

  /** Gives the buffer away: resolves to it when reads that have begun are done. `takeBack` undoes that, if it was not written. */
  donate(to: string): { buffer: Promise<Buffer>; takeBack: () => void } {
    const { buffer } = this
    this.leave(`was donated to ${to} and its memory holds something else now: use what that returned instead`)
    return {
      buffer: Promise.all(this.reads).then(() => buffer),
      takeBack: () => {
        this.gone = null
        this.future = buffer
      },
    }
  }

  /** Gives the memory up: `owner` has the data in another form. */
  release(owner: string): void {
    if (this.gone === null)
      this.leave(`belongs to ${owner}, which keeps it in another form: load it again for other uses`)
  }

  private leave(why: string): void {
    this.gone = why
    this.future = null
  }

  /** Throws a SwitchyardError if it was donated or released. */
  checkAlive(): void {
    if (this.gone !== null) throw new SwitchyardError(`this ${formatAval(this.aval)} ${this.gone}`)
  }
}

/** A function compiled with its weights, see `Backend.compileWithWeights`. */
export interface FunctionWithWeights {
  /** The positions of the weights whose arrays are not needed any more, once it is compiled. */
  readonly copied: Promise<readonly number[]>
  /** The function at some sizes, those of its program. */
  at(program: Program): FunctionAtSizes
}

/** A function with weights at some sizes of its other inputs. */
export interface FunctionAtSizes {
  run(others: readonly Value[]): Concrete[]
  /** Frees what this size alone needs, after the runs that have begun. It cannot run afterwards. */
  release(): void
}

/**
 * How many programs are kept compiled. Each has a session of ONNX Runtime: from some 100 kB, and threads of its own. A training run
 * needs about ten, an interactive session some dozens.
 */
const MAX_PROGRAMS = 256

/** A backend with its cache of compiled programs: runs programs, and single primitives outside `jit`, one after the other. */
export class Engine implements Evaluator {
  /** The keys of programs in `byText`, by which of their inputs are donated: writing a large program as text takes time. */
  private readonly keys = new WeakMap<Program, Map<string, string>>()
  private readonly byText: Lru<string, Promise<Executable>>
  /** Settles when all runs that have begun are over. */
  private last: Promise<unknown> = Promise.resolve()

  /** `maxPrograms`: how many different programs are kept compiled; the one that was used longest ago is released. */
  constructor(
    readonly backend: Backend,
    maxPrograms = MAX_PROGRAMS,
  ) {
    this.byText = new Lru(maxPrograms, executable => this.release(executable))
  }

  /** How many programs are compiled now. */
  get numPrograms(): number {
    return this.byText.size
  }

  put(tensor: HostTensor): Concrete {
    return new Concrete({ dtype: tensor.dtype, shape: tensor.shape }, this, Promise.resolve(this.backend.put(tensor)))
  }

  evaluate<P extends PrimitiveName>(
    primitive: P,
    inputs: readonly Value[],
    params: PrimitiveParams[P],
    outputs: readonly Aval[],
  ): Concrete[] {
    // Literals too are inputs here: the same operation on another number is the same program.
    const vars = inputs.map(x => new Var(x.aval))
    const results = outputs.map(a => new Var(a))
    const eqn = { primitive, inputs: vars, params, outputs: results } as unknown as Equation
    const program = new Program(vars, [eqn], results)
    return this.start(this.compileText(program.toString(), program), outputs, inputs, [], primitive)
  }

  /** Runs a program; returns at once, with futures. Donated inputs may not be used again. */
  run(program: Program, inputs: readonly Value[], donated: readonly boolean[] = [], name = 'a program'): Concrete[] {
    const types = program.outputs.map(o => o.aval)
    return this.start(this.compile(program, donated), types, inputs, donated, name)
  }

  /** The executable of a program: compiled once for the same program object or an equal one. */
  compile(program: Program, donated: readonly boolean[] = []): Promise<Executable> {
    const mask = donated.map(Number).join('')
    let versions = this.keys.get(program)
    if (!versions) this.keys.set(program, (versions = new Map()))
    let key = versions.get(mask)
    if (key === undefined) versions.set(mask, (key = `${mask} ${program}`))
    return this.compileText(key, program, donated)
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
    const compiled = Promise.all(weights.map(v => v && this.bufferOf(v))).then(buffers =>
      this.backend.compileWithWeights(examples, buffers, donated),
    )
    // A failure is reported by each run.
    compiled.catch(() => undefined)
    const donatedOthers = donated.filter((_, i) => weights[i] === null)
    return {
      copied: compiled.then(c => c.copied),
      at: program => {
        const executable = compiled.then(c => c.at(program))
        executable.catch(() => undefined)
        const types = program.outputs.map(o => o.aval)
        return {
          run: others => this.start(executable, types, others, donatedOthers, name),
          release: () => this.release(executable),
        }
      },
    }
  }

  private compileText(key: string, program: Program, donated: readonly boolean[] = []): Promise<Executable> {
    const known = this.byText.get(key)
    if (known) return known
    const executable = this.compileNew(key, program, donated)
    this.byText.set(key, executable)
    return executable
  }

  /** Releases an executable after the runs that have begun. */
  private release(executable: Promise<Executable>): void {
    const before = this.last
    Promise.all([executable, before])
      .then(([e]) => e.release())
      .catch(() => undefined)
  }

  private compileNew(key: string, program: Program, donated: readonly boolean[]): Promise<Executable> {
    const executable = this.backend.compile(program, donated)
    // What failed, perhaps for want of memory, may be tried again.
    executable.catch(() => {
      if (this.byText.peek(key) === executable) this.byText.delete(key)
    })
    return executable
  }

  /** Queues a run behind those that have begun: none of them then reads memory that this one may write. */
  private start(
    executable: Promise<Executable>,
    types: readonly Aval[],
    inputs: readonly Value[],
    donated: readonly boolean[],
    name: string,
  ): Concrete[] {
    checkDonatedOnce(inputs, donated, name)
    // Nothing is given away before it is known that everything is there.
    for (const x of inputs) if (x instanceof Concrete) x.checkAlive()
    const kept = inputs.map((x, i) => (donated[i] ? null : this.bufferOf(x)))
    const gifts = inputs.map((x, i) =>
      donated[i] && x instanceof Concrete && x.evaluator === this ? x.donate(name) : null,
    )
    const buffers = Promise.all(inputs.map((x, i) => kept[i] ?? gifts[i]?.buffer ?? this.bufferOf(x)))
    const written = new Set<Buffer>()
    const run = Promise.all([executable, buffers, this.last] as const).then(([e, ready]) => e.run(ready, written))
    const results = run.catch(async (error: unknown) => {
      // What the failed run has not written is as it was: a training's state survives a step that failed.
      const ready = await buffers.catch(() => [])
      gifts.forEach((gift, i) => {
        if (gift && !written.has(ready[i])) gift.takeBack()
      })
      throw error
    })
    this.last = results.catch(() => undefined)
    return types.map(
      (type, i) =>
        new Concrete(
          type,
          this,
          results.then(r => r[i]),
        ),
    )
  }

  private bufferOf(x: Value): Promise<Buffer> {
    if (x instanceof Concrete && x.evaluator === this) return x.buffer
    if (x instanceof Concrete) return x.read().then(tensor => this.backend.put(tensor))
    if (x instanceof Literal) return Promise.resolve(this.backend.put(hostScalar(x.dtype, x.value)))
    if (x instanceof Tracer) throw leaked(x)
    throw new Error(`expected a concrete array, got ${formatAval(x.aval)}`)
  }
}

/** Throws a SwitchyardError if an array that is donated is also another input. */
function checkDonatedOnce(inputs: readonly Value[], donated: readonly boolean[], name: string): void {
  if (!donated.includes(true)) return
  const uses = new Map<Value, number>()
  for (const x of inputs) uses.set(x, (uses.get(x) ?? 0) + 1)
  inputs.forEach((x, i) => {
    if (donated[i] && uses.get(x)! > 1)
      throw new SwitchyardError(
        `${name} was given the same ${formatAval(x.aval)} twice, once to be donated: donated arrays must be different ones`,
      )
  })
}
