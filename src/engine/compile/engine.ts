import type { HostTensor } from '../../base/host-tensor.js'
import type { StoredTensor } from '../../base/stored-tensor.js'
import type { Aval } from '../program/aval.js'
import type { PrimitiveName } from '../program/primitives.js'
import type { Equation, PrimitiveParams } from '../program/program.js'
import { Program, Var } from '../program/program.js'
import type { Value } from '../program/value.js'
import { NamedSharding, P } from '../program/sharding.js'
import type { Backend, Executable, Partition, ProgramsAtSizes, ReadPart } from './backend.js'
import { CompileClock } from './compile-clock.js'
import { Concrete } from './concrete.js'
import type { ArrayOwner } from './concrete.js'
import type { FunctionWithWeights } from './function-with-weights.js'
import { compilePaged } from './paged/compile-paged.js'
import { PagedBuffer } from './paged/paged-buffer.js'
import type { Pages } from './paged/pages.js'
import { checkDevices, isEverywhere, meshOf, partitionOf, resultLayouts } from './partition.js'
import { ProgramCache } from './program-cache.js'
import { RunQueue } from './run-queue.js'
import type { ResultLayouts } from './run-queue.js'

/**
 * How many programs are kept compiled. Each has a session of ONNX Runtime, which takes 100 kB or more and has its own
 * threads. A training run needs about ten, an interactive session some dozens.
 */
const MAX_PROGRAMS = 256

/**
 * Runs programs, and single primitives outside of `jit`, on a backend, one after the other. Keeps compiled programs in
 * a cache.
 */
export class Engine implements ArrayOwner {
  /** How long programs have been compiled. */
  readonly compiling = new CompileClock()
  private readonly programs: ProgramCache
  private readonly queue: RunQueue

  /** `maxPrograms`: how many programs are kept compiled; the least recently used is released first. */
  constructor(
    readonly backend: Backend,
    maxPrograms = MAX_PROGRAMS,
  ) {
    this.programs = new ProgramCache(
      maxPrograms,
      (program, donated, partition) =>
        this.queue.expect(this.compiling.count(backend.compile(program, donated, partition))),
      executable => this.queue.release(executable),
    )
    this.queue = new RunQueue(backend, this)
  }

  /** Settles when all runs that were called for so far have begun, and have their inputs. */
  get started(): Promise<unknown> {
    return this.queue.started
  }

  /** How many programs are compiled now. */
  get numPrograms(): number {
    return this.programs.size
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

  /** An array on a mesh, of whose parts each process reads its own: see `Backend.putParts`. */
  async putParts(type: Aval, sharding: NamedSharding, read: ReadPart): Promise<Concrete> {
    const { backend } = this
    checkDevices(backend, sharding.mesh)
    if (!backend.putParts) throw new Error(`the backend ${backend.name} has no putParts`)
    const buffer = await backend.putParts(type, sharding, read)
    return new Concrete(type, this, buffer, null, Promise.resolve(sharding), isEverywhere(sharding))
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
    const executable = this.programs.getForOneRun(program)
    return this.queue.start({ executable, types: outputs, inputs, name: primitive })
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
    return this.queue.start({ executable: this.compile(program, donated), types, inputs, donated, name, origin })
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
    const layouts: ResultLayouts = {
      ...layoutsOf(executable),
      isEverywhere: i => {
        const spec = given?.outputs[i]
        const layout = spec ? new NamedSharding(given!.mesh, spec) : known[i]
        return layout !== null && isEverywhere(layout)
      },
    }
    return this.queue.start({ executable, types, inputs, donated, name, origin, layouts })
  }

  /** The executable of a program. A program that equals an earlier one is not compiled again. */
  compile(program: Program, donated?: readonly boolean[], partition?: Partition | null): Promise<Executable> {
    return this.programs.get(program, donated, partition)
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
    const compiled = Promise.all(weights.map(v => v && this.queue.bufferOf(wholeOf(v)))).then(buffers =>
      buffers.some(b => b instanceof PagedBuffer)
        ? compilePaged(this.backend, examples, buffers, donated, name)
        : this.compiling.count(this.backend.compileWithWeights(examples, buffers, donated)),
    )
    // A failure is reported by each run, not as an unhandled rejection.
    compiled.catch(() => undefined)
    const eachSizeBecause = compiled.then(c => c.eachSizeBecause)
    eachSizeBecause.catch(() => undefined)
    const donatedOthers = donated.filter((_, i) => weights[i] === null)
    const areOnMesh = weights.some(v => v instanceof Concrete && v.sharding !== null) && !this.backend.processes
    return {
      copied: compiled.then(c => c.copied),
      eachSizeBecause,
      at: sizes => {
        const executable = this.queue.expect(compiled.then(c => this.compiling.count(c.at(sizes))))
        const layouts = areOnMesh ? layoutsOf(executable) : undefined
        return {
          compiled: executable,
          run: others => {
            const inputs = others.map(wholeOf)
            return this.queue.start({
              executable,
              types: sizes.outputs,
              inputs,
              donated: donatedOthers,
              name,
              layouts,
            })
          },
          release: () => this.queue.release(executable),
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
    return this.queue.start({ executable, types: [x.aval], inputs: [x], name: 'reading an array' })[0]
  }
}

/** The layouts of results for which none was asked for. */
const layoutsOf = (executable: Promise<Executable>): ResultLayouts => ({
  of: async i => (await executable).shardings?.[i] ?? null,
  isEverywhere: () => false,
})

/** An array, all of which this process has: see `Engine.whole`. */
const wholeOf = (x: Value): Value => (x instanceof Concrete ? x.evaluator.whole(x) : x)

/** Whether a program, or one of its inputs, is on a mesh of devices. */
const isOnMesh = (program: Program, inputs: readonly Value[]): boolean =>
  inputs.some(x => x instanceof Concrete && x.sharding !== null) || meshOf(program) !== null

/** The engine that computes on an array; undefined for other values. */
export const engineOf = (x: Value | undefined): Engine | undefined =>
  x?.evaluator instanceof Engine ? x.evaluator : undefined
