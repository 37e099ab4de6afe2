import { SwitchyardError } from '../../base/errors.js'
import { hostScalar } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import type { PrimitiveName } from '../program/primitives.js'
import type { Equation, PrimitiveParams } from '../program/program.js'
import { Program, Var } from '../program/program.js'
import { leaked, Tracer } from '../program/trace.js'
import { Literal, Value } from '../program/value.js'
import type { Evaluator } from '../program/value.js'
import type { Backend, Buffer, Examples, Executable } from './backend.js'

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

  /** Gives the buffer away; resolves to it when reads that have begun are done. */
  donate(to: string): Promise<Buffer> {
    const buffer = this.buffer
    this.leave(`was donated to ${to} and its memory holds something else now: use what that returned instead`)
    return Promise.all(this.reads).then(() => buffer)
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

/** A function with some of its inputs bound. */
export interface BoundProgram {
  readonly copied: Promise<readonly number[]>
  run(program: Program, others: readonly Value[]): Concrete[]
}

/** A backend with its cache of compiled programs: runs programs, and single primitives outside `jit`, one after the other. */
export class Engine implements Evaluator {
  /** The keys of programs in `byText`, by which of their inputs are donated: writing a large program as text takes time. */
  private readonly keys = new WeakMap<Program, Map<string, string>>()
  /** The one used longest ago first. */
  private readonly byText = new Map<string, Promise<Executable>>()
  private last: Promise<unknown> = Promise.resolve()

  /** `maxPrograms`: how many different ones are kept compiled for whoever comes with an equal program. */
  constructor(
    readonly backend: Backend,
    private readonly maxPrograms = 1000,
  ) {}

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
    return this.start(this.compileText(program.toString(), program), program, inputs, [], primitive)
  }

  /** Runs a program; returns at once, with futures. Donated inputs may not be used again. */
  run(program: Program, inputs: readonly Value[], donated: readonly boolean[] = [], name = 'a program'): Concrete[] {
    return this.start(this.compile(program, donated), program, inputs, donated, name)
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
   * Compiles a function some of whose inputs are the same arrays at each run (null: not this one; see `Backend.bind`). Returns what runs its
   * program at any sizes on the inputs that are not bound, and, once compiled, the places of the bound ones whose arrays are needed no more.
   */
  bind(
    examples: Examples,
    bound: readonly (Value | null)[],
    donated: readonly boolean[] = [],
    name = 'a function',
  ): BoundProgram {
    const compiled = Promise.all(bound.map(v => v && this.bufferOf(v))).then(buffers =>
      this.backend.bind(examples, buffers, donated),
    )
    // Whoever runs it hears of a failure.
    compiled.catch(() => undefined)
    const isOther = (_: unknown, i: number): boolean => bound[i] === null
    const donatedOthers = donated.filter(isOther)
    const executables = new WeakMap<Program, Promise<Executable>>()
    return {
      copied: compiled.then(c => c.copied),
      run: (program, others) => {
        let executable = executables.get(program)
        if (!executable) executables.set(program, (executable = compiled.then(c => c.at(program))))
        return this.start(executable, program, others, donatedOthers, name)
      },
    }
  }

  private compileText(key: string, program: Program, donated: readonly boolean[] = []): Promise<Executable> {
    const executable = this.byText.get(key) ?? this.compileNew(key, program, donated)
    this.byText.delete(key)
    this.byText.set(key, executable)
    if (this.byText.size > this.maxPrograms) this.byText.delete(this.byText.keys().next().value!)
    return executable
  }

  private compileNew(key: string, program: Program, donated: readonly boolean[]): Promise<Executable> {
    const executable = this.backend.compile(program, donated)
    // What failed, perhaps for want of memory, may be tried again.
    executable.catch(() => {
      if (this.byText.get(key) === executable) this.byText.delete(key)
    })
    return executable
  }

  /** Queues a run behind those that have begun: none of them then reads memory that this one may write. */
  private start(
    executable: Promise<Executable>,
    program: Program,
    inputs: readonly Value[],
    donated: readonly boolean[],
    name: string,
  ): Concrete[] {
    inputs.forEach((x, i) => {
      if (donated[i] && inputs.indexOf(x) !== inputs.lastIndexOf(x))
        throw new SwitchyardError(
          `${name} was given the same ${formatAval(x.aval)} twice, once to be donated: donated arrays must be different ones`,
        )
    })
    // Nothing is given away before it is known that everything is there.
    for (const x of inputs) if (x instanceof Concrete) x.checkAlive()
    const buffers = inputs.map((x, i) => (donated[i] ? null : this.bufferOf(x)))
    const taken = inputs.map(
      (x, i) => buffers[i] ?? (x instanceof Concrete && x.evaluator === this ? x.donate(name) : this.bufferOf(x)),
    )
    const before = this.last
    const results = Promise.all([executable, Promise.all(taken), before] as const).then(([e, ready]) => e.run(ready))
    this.last = results.catch(() => undefined)
    return program.outputs.map(
      (o, i) =>
        new Concrete(
          o.aval,
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
