import { check, SwitchyardError } from '../../../base/errors.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { formatAval, sameShape } from '../../program/aval.js'
import type { Program } from '../../program/program.js'
import { simplify } from '../../transform/simplify.js'
import type {
  Backend,
  Buffer,
  Compilation,
  CompiledWithWeights,
  Executable,
  ExecutableStats,
  ProgramsAtSizes,
} from '../backend.js'
import { withWeights } from '../with-weights.js'
import { XlaBuffer } from './buffer.js'
import { toStableHlo } from './lower/lower.js'
import { PjrtBuffer } from './pjrt/buffer.js'
import { PjrtClient } from './pjrt/client.js'
import type { PjrtExecutable } from './pjrt/executable.js'
import { PjrtLibrary } from './pjrt/library.js'

export interface XlaOptions {
  /** The PJRT plugin: a shared library. */
  plugin: string
  /** How many devices the CPU's plugin has. Default: 1. */
  cpuDevices?: number
}

/**
 * The backend that compiles programs with XLA, through a PJRT plugin. Runs are asynchronous: a run resolves when XLA
 * has it in its queue, and an error of the computation appears when a result is read.
 */
export class XlaBackend implements Backend {
  readonly name = 'xla'

  private constructor(readonly client: PjrtClient) {}

  /** Loads the plugin. Throws a SwitchyardError if that fails. */
  static async create({ plugin, cpuDevices = 1 }: XlaOptions): Promise<XlaBackend> {
    const library = await PjrtLibrary.load(plugin)
    return new XlaBackend(await PjrtClient.create(library, { cpu_device_count: cpuDevices }))
  }

  async describe(): Promise<string> {
    const { library, platform, devices } = this.client
    const { major, minor } = library.version
    return `XLA (${library.path}, PJRT ${major}.${minor}), ${devices.length} x ${platform}`
  }

  put(tensor: HostTensor): XlaBuffer {
    return new XlaBuffer({ dtype: tensor.dtype, shape: tensor.shape }, this.client.put(tensor))
  }

  async compile(program: Program, donated: readonly boolean[] = []): Promise<Executable> {
    const text = toStableHlo(simplify(program), { donated })
    const executable = await this.client.compile(text, { flags })
    return new XlaExecutable(this.client, executable, program, donated, statsOf(text))
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
    return {
      copied: [],
      at: async program => withWeights(await this.compile(program, donated), weights),
      release: async () => undefined,
    }
  }
}

/** Every equation is rounded to its dtype, as the primitives say. */
const flags = { xla_allow_excess_precision: false, xla_cpu_enable_fast_min_max: false }

class XlaExecutable implements Executable {
  constructor(
    private readonly client: PjrtClient,
    private readonly executable: PjrtExecutable,
    private readonly program: Program,
    private readonly donated: readonly boolean[],
    readonly stats: ExecutableStats,
  ) {}

  async run(inputs: readonly Buffer[]): Promise<Buffer[]> {
    const { program } = this
    check(
      inputs.length === program.inputs.length,
      () => `expected ${program.inputs.length} inputs, got ${inputs.length}`,
    )
    const pointers = inputs.map((input, i) => {
      const { aval } = program.inputs[i]
      if (!(input instanceof XlaBuffer)) throw new SwitchyardError(`input ${i} is an array of another backend`)
      // XLA itself checks only the number of bytes.
      check(
        input.aval.dtype === aval.dtype && sameShape(input.aval.shape, aval.shape),
        () => `input ${i} is ${formatAval(input.aval)}, and the program was compiled for ${formatAval(aval)}`,
      )
      return input.pjrt.pointer
    })
    const [outputs] = this.executable.execute([pointers])
    inputs.forEach((input, i) => {
      if (this.donated[i]) (input as XlaBuffer).dispose()
    })
    return outputs.map(
      (pointer, i) =>
        new XlaBuffer(program.outputs[i].aval, new PjrtBuffer(this.client, pointer, program.outputs[i].aval)),
    )
  }

  async release(): Promise<void> {
    this.executable.destroy()
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
