import { check, SwitchyardError } from '../../../base/errors.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { Aval } from '../../program/aval.js'
import type { Program } from '../../program/program.js'
import { NamedSharding, P, sameMesh, shardShape, shardStarts } from '../../program/sharding.js'
import { simplify } from '../../transform/simplify.js'
import type {
  Backend,
  Buffer,
  Compilation,
  CompiledWithWeights,
  Executable,
  ExecutableStats,
  Partition,
  ProgramsAtSizes,
  ReadPart,
} from '../backend.js'
import { withWeights } from '../with-weights.js'
import { XlaBuffer } from './buffer.js'
import type { CompileCache } from './cache.js'
import { XlaExecutable } from './executable.js'
import { toStableHlo } from './lower/lower.js'
import { DeviceMemory } from './memory.js'
import { partAt } from '../parts.js'
import type { PjrtBuffer } from './pjrt/buffer.js'
import type { PjrtClient, PjrtDevice } from './pjrt/client.js'
import type { CompileOptions } from './pjrt/compile-options.js'
import type { PjrtExecutable } from './pjrt/executable.js'

/** What a backend needs besides its client. */
export interface XlaServices {
  /** Frees the memory of arrays that nothing refers to. */
  readonly collectGarbage: () => void
  /** Where compiled programs are kept between processes. */
  readonly cache?: CompileCache
  /** Flags of XLA for all programs. */
  readonly flags?: CompileOptions['flags']
}

/**
 * The backend that compiles programs with XLA, through a PJRT plugin. Runs are asynchronous: a run resolves when XLA
 * has it in its queue, and an error of the computation appears when a result is read.
 */
export class XlaBackend implements Backend {
  readonly name = 'xla'
  readonly compilesEachSize = true
  private readonly memory: DeviceMemory

  constructor(
    readonly client: PjrtClient,
    private readonly services: XlaServices,
  ) {
    this.memory = new DeviceMemory(services.collectGarbage)
  }

  /** Flags of XLA for all programs: every equation is rounded to its dtype, as the primitives say. */
  private get flags(): CompileOptions['flags'] {
    return {
      xla_allow_excess_precision: false,
      ...(this.client.platform === 'cpu' && { xla_cpu_enable_fast_min_max: false }),
      ...this.services.flags,
    }
  }

  get hasOwnMemory(): boolean {
    return this.client.platform !== 'cpu'
  }

  get numDevices(): number {
    return this.client.devices.length
  }

  /** The bytes of all arrays on devices, as far as they are not freed. */
  get liveBytes(): number {
    return this.memory.bytes
  }

  async describe(): Promise<string> {
    return this.client.description
  }

  collectGarbage(): void {
    this.services.collectGarbage()
  }

  put(tensor: HostTensor, sharding?: NamedSharding): XlaBuffer {
    const { dtype, shape } = tensor
    if (!sharding) return this.counted({ dtype, shape }, [this.client.put(tensor)])
    const part = shardShape(shape, sharding)
    const parts: PjrtBuffer[] = []
    for (const { start, devices } of this.partsOn(sharding, shape)) {
      const copy = partAt(tensor, start, part)
      for (const [i, device] of devices) parts[i] = this.client.put(copy, device)
    }
    return this.counted({ dtype, shape }, parts, sharding)
  }

  async putParts({ dtype, shape }: Aval, sharding: NamedSharding, read: ReadPart): Promise<XlaBuffer> {
    const part = shardShape(shape, sharding)
    const parts: PjrtBuffer[] = []
    try {
      for (const { start, devices } of this.partsOn(sharding, shape)) {
        const copy = await read(start, part)
        for (const [i, device] of devices) parts[i] = this.client.put(copy, device)
      }
    } catch (error) {
      parts.forEach(made => made.destroy())
      throw error
    }
    return this.counted({ dtype, shape }, parts, sharding)
  }

  private counted(aval: Aval, parts: readonly PjrtBuffer[], sharding?: NamedSharding): XlaBuffer {
    const buffer = new XlaBuffer(aval, parts, this.memory, sharding)
    this.memory.limitGrowth()
    return buffer
  }

  /** The different parts of an array: where each begins, and the devices that have it, with their numbers. */
  private partsOn(
    sharding: NamedSharding,
    shape: readonly number[],
  ): { readonly start: readonly number[]; readonly devices: [number, PjrtDevice][] }[] {
    const parts = new Map<string, { start: readonly number[]; devices: [number, PjrtDevice][] }>()
    const devices = this.devicesOf(sharding)
    shardStarts(shape, sharding).forEach((start, i) => {
      const part = parts.get(start.join()) ?? { start, devices: [] }
      part.devices.push([i, devices[i]])
      parts.set(start.join(), part)
    })
    return [...parts.values()]
  }

  async compile(program: Program, donated: readonly boolean[] = [], partition?: Partition): Promise<Executable> {
    const text = toStableHlo(simplify(program), { donated, partition })
    const numDevices = partition?.mesh.size ?? 1
    const devices = this.firstDevices(numDevices)
    const executable = await this.load(text, { deviceIds: devices.map(d => d.id), flags: this.flags })
    const shardingsOf = (specs: Partition['inputs'], mesh: Partition['mesh']): NamedSharding[] =>
      specs.map(spec => new NamedSharding(mesh, spec ?? P()))
    const signature = {
      inputs: program.inputs.map(v => v.aval),
      outputs: program.outputs.map(o => o.aval),
      donated,
      partition: partition && {
        numDevices,
        inputs: shardingsOf(partition.inputs, partition.mesh),
        outputs: shardingsOf(partition.outputs, partition.mesh),
      },
    }
    const move = async (buffer: Buffer, sharding?: NamedSharding): Promise<XlaBuffer> =>
      this.put(await buffer.read(), sharding)
    return new XlaExecutable(this.client, this.memory, executable, signature, statsOf(text), move)
  }

  /** The executable from the cache, or compiled now. */
  private async load(text: string, options: CompileOptions): Promise<PjrtExecutable> {
    const { cache } = this.services
    return cache ? cache.load(text, options) : this.client.compile(text, options)
  }

  explain(program: Program, donated: readonly boolean[] = []): Compilation {
    const simple = simplify(program)
    const text = toStableHlo(simple, { donated })
    return {
      program: simple,
      generators: [],
      loops: [],
      inPlaceArrays: donated.filter(Boolean).length,
      nodes: operationsOf(text),
      stats: statsOf(text),
    }
  }

  async compileWithWeights(
    _: ProgramsAtSizes,
    weights: readonly (Buffer | null)[],
    donated: readonly boolean[] = [],
  ): Promise<CompiledWithWeights> {
    // Weights on a mesh stay where they are: its devices compute together.
    const on = weights.find(w => w?.sharding)?.sharding?.mesh
    const other = on && weights.find(w => w?.sharding && !sameMesh(w.sharding.mesh, on))
    check(!other, () => `the weights are on two meshes, ${on} and ${other!.sharding!.mesh}: put them on one`)
    const partitionOf = ({ outputs }: Program): Partition | undefined =>
      on && { mesh: on, inputs: weights.map(w => w?.sharding?.spec ?? null), outputs: outputs.map(() => null) }
    return {
      copied: [],
      at: async sizes => {
        const program = sizes.program()
        return withWeights(await this.compile(program, donated, partitionOf(program)), weights)
      },
      release: async () => undefined,
    }
  }

  private devicesOf({ mesh }: NamedSharding): readonly PjrtDevice[] {
    return this.firstDevices(mesh.size)
  }

  private firstDevices(count: number): readonly PjrtDevice[] {
    const { devices, platform } = this.client
    if (count > devices.length)
      throw new SwitchyardError(
        `a mesh of ${count} devices was asked for, and XLA has ${devices.length} (${platform}): ` +
          (platform === 'cpu' ? 'make the backend with more cpuDevices' : 'make a smaller mesh'),
      )
    return devices.slice(0, count)
  }
}

/** The operations of StableHLO text, one a line. */
const operationsOf = (text: string): { operation: string; text: string }[] =>
  text.split('\n').flatMap(line => {
    const operation = /(?:^|= )\s*"?((?:stablehlo|chlo|call)[\w.]*)/.exec(line.trim())?.[1]
    return operation === undefined ? [] : { operation: operation.replace(/^\w+\./, ''), text: line.trim() }
  })

const statsOf = (text: string): ExecutableStats => ({
  nodes: operationsOf(text).length,
  generators: 0,
  fusedLoops: 0,
  inPlaceBytes: 0,
  weightBytes: 0,
})
