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
  /** The numbers of the donated inputs. */
  private readonly donated: readonly number[]

  constructor(
    private readonly client: PjrtClient,
    private readonly memory: DeviceMemory,
    private readonly executable: PjrtExecutable,
    private readonly signature: Signature,
    readonly stats: ExecutableStats,
    /** Lays an array out in another way: a new array. */
    private readonly move: (buffer: Buffer, sharding: NamedSharding | undefined) => Promise<XlaBuffer>,
  ) {
    const { outputs, partition, donated } = signature
    this.donated = donated.flatMap((isDonated, i) => (isDonated ? [i] : []))
    this.shardings = partition?.outputs
    this.parts = outputs.map((o, i) =>
      partition ? { dtype: o.dtype, shape: shardShape(o.shape, partition.outputs[i]) } : o,
    )
  }

  /** Resolves when XLA has the run in its queue. If the computation fails, reading its results throws. */
  async run(inputs: readonly Buffer[], _written?: Set<Buffer>, name?: string): Promise<Buffer[]> {
    const now = this.runNow(inputs, name)
    if (now) return now
    const { inputs: wanted = [] } = this.signature.partition ?? {}
    const moved: XlaBuffer[] = []
    const placed: XlaBuffer[] = []
    for (const [i, input] of inputs.entries()) {
      if (isPlaced(input, wanted[i])) placed.push(input)
      else {
        const copy = await this.move(input, wanted[i])
        moved.push(copy)
        placed.push(copy)
      }
    }
    const results = this.execute(placed, name)
    this.donate(inputs)
    for (const copy of moved) copy.dispose()
    this.memory.limitGrowth()
    return results
  }

  /** Puts a run into XLA's queue; null if an input is not laid out as the program takes it. */
  runNow(inputs: readonly Buffer[], name?: string): XlaBuffer[] | null {
    this.checkTypes(inputs)
    const wanted = this.signature.partition?.inputs
    for (let i = 0; i < inputs.length; i++) if (!isPlaced(inputs[i], wanted?.[i])) return null
    const results = this.execute(inputs as readonly XlaBuffer[], name)
    this.donate(inputs)
    this.memory.limitGrowth()
    return results
  }

  private donate(inputs: readonly Buffer[]): void {
    for (const i of this.donated) (inputs[i] as XlaBuffer).dispose('was donated')
  }

  async release(): Promise<void> {
    this.executable.destroy()
  }

  private execute(inputs: readonly XlaBuffer[], name = 'the program'): XlaBuffer[] {
    const { outputs, partition } = this.signature
    let results: readonly BigUint64Array[]
    try {
      results = this.executable.execute(inputs, partition?.numDevices ?? 1)
    } catch (error) {
      if (error instanceof PjrtError)
        error.message = isOutOfMemory(error) ? this.outOfMemory(name, error) : `${name}: ${error.message}`
      throw error
    }
    return outputs.map((type, i) => {
      const parts = results.map(list => new PjrtBuffer(this.client, list[i], this.parts[i]))
      return new XlaBuffer(type, parts, this.memory, partition?.outputs[i], name)
    })
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
      `all arrays take ${formatBytes(this.memory.bytes)} now. Use fewer rows or a larger mesh` +
      `${this.client.isOnHost ? '' : ', or raise memoryFraction'}. (${message.split('\n')[0]})`
    )
  }

  /** XLA itself checks only the number of bytes. */
  private checkTypes(inputs: readonly Buffer[]): void {
    const { inputs: types } = this.signature
    check(inputs.length === types.length, () => `the program takes ${types.length} inputs, not ${inputs.length}`)
    for (let i = 0; i < types.length; i++) {
      const { aval } = inputs[i]
      check(
        aval === types[i] || (aval.dtype === types[i].dtype && sameShape(aval.shape, types[i].shape)),
        () => `input ${i} is ${formatAval(aval)}, but the program was compiled for ${formatAval(types[i])}`,
      )
    }
  }
}

/** On a GPU an allocation fails at the call, or later, when the result is read: see `XlaBuffer`. */
const isOutOfMemory = (error: PjrtError): boolean => error.code === 'RESOURCE_EXHAUSTED'

const isPlaced = (input: Buffer, wanted: NamedSharding | undefined): input is XlaBuffer =>
  input instanceof XlaBuffer && isLaidOut(input, wanted)

function isLaidOut({ sharding }: XlaBuffer, wanted: NamedSharding | undefined): boolean {
  if (!sharding || !wanted) return sharding === wanted
  return sameSharding(sharding, wanted)
}
