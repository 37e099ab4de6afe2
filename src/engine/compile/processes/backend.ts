import type { HostTensor } from '../../../base/host-tensor.js'
import type { StoredTensor } from '../../../base/stored-tensor.js'
import type { Aval } from '../../program/aval.js'
import type { Equation, Program } from '../../program/program.js'
import { NamedSharding, P, shardShape, shardStarts } from '../../program/sharding.js'
import type { Mesh } from '../../program/sharding.js'
import { onOneDevice } from '../../transform/expand-shard-map.js'
import { simplify } from '../../transform/simplify.js'
import type {
  Backend,
  Buffer,
  Compilation,
  CompiledWithWeights,
  Executable,
  FewRows,
  Partition,
  ProgramsAtSizes,
  ReadPart,
  WithWeightsOptions,
} from '../backend.js'
import { cutAtRegions } from '../cut.js'
import { ProcessBuffer } from './buffer.js'
import { communicates, ownPart } from './collectives.js'
import type { Communicator } from './communicator.js'
import { ProcessExecutable } from './executable.js'
import type { Exchange } from './executable.js'
import { localize } from './localize.js'
import { onWholes, wholeOf } from './on-wholes.js'
import { Place } from './place.js'

/**
 * The backend of one process of several, each of which is one device of a mesh. All of them run the same program, and
 * call for the same runs in the same order. A program for the mesh is cut at its collectives: another backend computes
 * the segments between them, on this process's parts, and a communicator moves data. Programs without a mesh run on
 * every process alike.
 */
export class ProcessesBackend implements Backend {
  readonly name: string
  /** No compiler divides programs: a `shardMap` says what each process does. */
  readonly partitionsPrograms = false
  readonly putStored?: (tensor: StoredTensor) => Buffer
  private readonly places = new Map<string, Place>()

  private constructor(
    /** Computes on this process. */
    readonly inner: Backend,
    readonly processes: Communicator,
    /** Connects the processes for runs. */
    private readonly runs: Communicator,
  ) {
    this.name = inner.name
    if (inner.putStored) this.putStored = tensor => inner.putStored!(tensor)
  }

  /** The backend of this process. All processes of the job call this. `inner`: computes on this process. */
  static async create(inner: Backend, processes: Communicator): Promise<ProcessesBackend> {
    return new ProcessesBackend(inner, processes, await processes.duplicate())
  }

  get numDevices(): number {
    return this.processes.size
  }

  get compilesEachSize(): boolean {
    return this.inner.compilesEachSize ?? false
  }

  get hasOwnMemory(): boolean {
    return this.inner.hasOwnMemory ?? false
  }

  async describe(): Promise<string> {
    return `${await this.inner.describe()}, ${this.processes.size} processes (${this.processes.library})`
  }

  collectGarbage(): void {
    this.inner.collectGarbage?.()
  }

  put(tensor: HostTensor, sharding?: NamedSharding): Buffer {
    if (!sharding) return this.inner.put(tensor)
    const { dtype, shape } = tensor
    return this.wrap({ dtype, shape }, this.inner.put(ownPart(tensor, sharding, this.placeOn(sharding.mesh))), sharding)
  }

  async putParts({ dtype, shape }: Aval, sharding: NamedSharding, read: ReadPart): Promise<Buffer> {
    this.placeOn(sharding.mesh)
    const part = await read(shardStarts(shape, sharding)[this.processes.rank], shardShape(shape, sharding))
    return this.wrap({ dtype, shape }, this.inner.put(part), sharding)
  }

  async compile(program: Program, donated: readonly boolean[] = [], partition?: Partition): Promise<Executable> {
    if (!partition) return this.inner.compile(onOneDevice(program), donated)
    const { mesh } = partition
    const place = this.placeOn(mesh)
    const on = (aval: Aval, spec = P()): { aval: Aval; sharding: NamedSharding } => ({
      aval,
      sharding: new NamedSharding(mesh, spec),
    })
    const specs = program.inputs.map((_, i) => partition.inputs[i] ?? P())
    const local = localize(program, specs, partition)
    const simple = simplify(local.program)
    const exchanges = simple.equations.filter(communicates).map(exchangeOf)
    const cut = cutAtRegions(simple, exchanges, {
      donated: new Set(simple.inputs.filter((_, i) => donated[i])),
      reads: exchange => exchange.equations[0].inputs,
    })
    const segments: (Executable | null)[] = []
    for (const { program: part, donated: given } of cut.segments)
      segments.push(part.outputs.length === 0 ? null : await this.inner.compile(part, given))
    const layouts = {
      inputs: program.inputs.map((v, i) => on(v.aval, specs[i])),
      outputs: program.outputs.map((o, i) => on(o.aval, local.outputs[i])),
      donated,
    }
    return new ProcessExecutable(this.inner, place, cut, segments, layouts, (...args) => this.wrap(...args))
  }

  explain(program: Program, donated?: readonly boolean[]): Compilation {
    return this.inner.explain(program, donated)
  }

  async compileWithWeights(
    examples: ProgramsAtSizes,
    weights: readonly (Buffer | null)[],
    donated?: readonly boolean[],
    options?: WithWeightsOptions,
  ): Promise<CompiledWithWeights> {
    const local = weights.map(w => w && wholeOf(w))
    const compiled = await this.inner.compileWithWeights(examples, local, donated, options)
    return {
      copied: compiled.copied,
      eachSizeBecause: compiled.eachSizeBecause,
      at: async sizes => onWholes(await compiled.at(sizes)),
      release: () => compiled.release(),
    }
  }

  needsWeights(composite: string): boolean {
    return this.inner.needsWeights?.(composite) ?? false
  }

  async forFewRows(program: Program): Promise<FewRows | null> {
    return (await this.inner.forFewRows?.(program)) ?? null
  }

  private placeOn(mesh: Mesh): Place {
    const key = String(mesh)
    let place = this.places.get(key)
    if (!place) this.places.set(key, (place = new Place(mesh, this.runs)))
    return place
  }

  private wrap(aval: Aval, part: Buffer, sharding: NamedSharding): ProcessBuffer {
    return new ProcessBuffer(aval, part, sharding, shardStarts(aval.shape, sharding)[this.processes.rank])
  }
}

const exchangeOf = (equation: Equation): Exchange => ({
  equation,
  equations: [equation],
  outputs: equation.outputs,
})
