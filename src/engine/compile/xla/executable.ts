import { check } from '../../../base/errors.js'
import { formatBytes } from '../../../base/format.js'
import { formatAval, sameShape } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import { sameSharding, shardShape } from '../../program/sharding.js'
import type { NamedSharding } from '../../program/sharding.js'
import type { Buffer, Executable, ExecutableStats } from '../backend.js'
import { XlaBuffer } from './buffer.js'
import type { DeviceMemory } from './memory.js'
import { PjrtBuffer } from './pjrt/buffer.js'
import type { PjrtClient } from './pjrt/client.js'
import type { PjrtExecutable } from './pjrt/executable.js'
import { PjrtError } from './pjrt/library.js'

/** The types of a program's inputs and results, and how they are laid out. */
export interface Signature {
  readonly inputs: readonly Aval[]
  readonly outputs: readonly Aval[]
  readonly donated: readonly boolean[]
  /** The layouts on a mesh. Left out for a program that runs on one device. */
  readonly partition?: {
    readonly numDevices: number
    readonly inputs: readonly NamedSharding[]
    readonly outputs: readonly NamedSharding[]
  }
}

/** A program compiled by XLA. */
export class XlaExecutable implements Executable {
  readonly shardings?: readonly NamedSharding[]
  /** The type of each device's part of each result. */
  private readonly parts: readonly Aval[]

  constructor(
    private readonly client: PjrtClient,
    private readonly memory: DeviceMemory,
    private readonly executable: PjrtExecutable,
    private readonly signature: Signature,
    readonly stats: ExecutableStats,
    /** Lays an array out in another way: a new array. */
    private readonly move: (buffer: Buffer, sharding: NamedSharding | undefined) => Promise<XlaBuffer>,
  ) {
    const { outputs, partition } = signature
    this.shardings = partition?.outputs
    this.parts = outputs.map((o, i) =>
      partition ? { dtype: o.dtype, shape: shardShape(o.shape, partition.outputs[i]) } : o,
    )
  }

  /** Resolves when XLA has the run in its queue. If the computation fails, reading its results throws. */
  async run(inputs: readonly Buffer[], _written?: Set<Buffer>, name?: string): Promise<Buffer[]> {
    this.checkTypes(inputs)
    const { donated, outputs, partition } = this.signature
    const moved: XlaBuffer[] = []
    const placed: XlaBuffer[] = []
    for (const [i, input] of inputs.entries()) {
      const wanted = partition?.inputs[i]
      if (input instanceof XlaBuffer && isLaidOut(input, wanted)) placed.push(input)
      else {
        const copy = await this.move(input, wanted)
        moved.push(copy)
        placed.push(copy)
      }
    }
    const lists = Array.from({ length: partition?.numDevices ?? 1 }, (_, device) =>
      placed.map(b => b.parts[device].pointer),
    )
    const results = this.execute(lists, name)
    inputs.forEach((input, i) => {
      if (donated[i]) (input as XlaBuffer).dispose('was donated')
    })
    for (const copy of moved) copy.dispose()
    return outputs.map((type, i) => {
      const parts = results.map(list => new PjrtBuffer(this.client, list[i], this.parts[i]))
      return new XlaBuffer(type, parts, this.memory, partition?.outputs[i], name)
    })
  }

  async release(): Promise<void> {
    this.executable.destroy()
  }

  private execute(lists: readonly (readonly bigint[])[], name = 'the program'): bigint[][] {
    try {
      return this.executable.execute(lists)
    } catch (error) {
      if (error instanceof PjrtError)
        error.message = isOutOfMemory(error) ? this.outOfMemory(name, error) : `${name}: ${error.message}`
      throw error
    }
  }

  /** What a run of the program needs, beside what is taken already. */
  private outOfMemory(name: string, { message }: PjrtError): string {
    const need = this.executable.memory()
    const limit = this.client.memoryOf(this.client.devices[0])?.limitBytes
    const parts = need && [
      `${formatBytes(need.inputs)} of inputs`,
      `${formatBytes(Math.max(0, need.results - need.donated))} of results beside donated memory`,
      `${formatBytes(need.intermediate)} of intermediate values`,
    ]
    return (
      `${name} does not fit into the device's memory${limit === undefined ? '' : ` of ${formatBytes(limit)}`}: ` +
      (parts ? `it needs ${parts.join(', ')}, and ` : '') +
      `all arrays take ${formatBytes(this.memory.bytes)} now. Use fewer rows or a larger mesh, or raise ` +
      `memoryFraction. (${message.split('\n')[0]})`
    )
  }

  /** XLA itself checks only the number of bytes. */
  private checkTypes(inputs: readonly Buffer[]): void {
    const { inputs: types } = this.signature
    check(inputs.length === types.length, () => `the program takes ${types.length} inputs, not ${inputs.length}`)
    inputs.forEach(({ aval }, i) =>
      check(
        aval.dtype === types[i].dtype && sameShape(aval.shape, types[i].shape),
        () => `input ${i} is ${formatAval(aval)}, but the program was compiled for ${formatAval(types[i])}`,
      ),
    )
  }
}

/** On a GPU an allocation fails at the call, or later, when the result is read: see `XlaBuffer`. */
const isOutOfMemory = (error: PjrtError): boolean => error.code === 'RESOURCE_EXHAUSTED'

function isLaidOut({ sharding }: XlaBuffer, wanted: NamedSharding | undefined): boolean {
  if (!sharding || !wanted) return sharding === wanted
  return sameSharding(sharding, wanted)
}
