import { formatAval, sameAval } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import { check } from '../../../base/errors.js'
import { hostScalar } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { Lit } from '../../program/program.js'
import type { Atom, Equation } from '../../program/program.js'
import { NamedSharding, sameSharding } from '../../program/sharding.js'
import type { Backend, Buffer, Executable, ExecutableStats } from '../backend.js'
import { takeResults } from '../cut.js'
import type { Cut, Region } from '../cut.js'
import { isEverywhere } from '../partition.js'
import { sumOfStats } from '../stats.js'
import { ProcessBuffer } from './buffer.js'
import { gatherWhole, ownPart, runCollectives } from './collectives.js'
import type { OwnCollective } from './collectives.js'
import type { Place } from './place.js'

/** A collective, which runs between two segments. */
export interface Exchange extends Region {
  readonly equation: Equation
}

/** The types and layouts of a program's inputs and results. */
export interface Layouts {
  readonly inputs: readonly { readonly aval: Aval; readonly sharding: NamedSharding }[]
  readonly outputs: readonly { readonly aval: Aval; readonly sharding: NamedSharding }[]
  readonly donated: readonly boolean[]
}

/** A program on a mesh of processes: segments that another backend has compiled, and collectives between them. */
export class ProcessExecutable implements Executable {
  readonly shardings: readonly NamedSharding[]
  readonly stats: ExecutableStats

  constructor(
    private readonly backend: Backend,
    private readonly place: Place,
    private readonly cut: Cut<Exchange>,
    /** Null for a segment that computes nothing. */
    private readonly segments: readonly (Executable | null)[],
    private readonly layouts: Layouts,
    private readonly wrap: (aval: Aval, part: Buffer, sharding: NamedSharding) => ProcessBuffer,
  ) {
    this.shardings = layouts.outputs.map(o => o.sharding)
    this.stats = sumOfStats(segments.flatMap(s => s?.stats ?? []))
  }

  async run(inputs: readonly Buffer[], written: Set<Buffer> = new Set(), name?: string): Promise<Buffer[]> {
    const { donated } = this.layouts
    const parts: Buffer[] = []
    for (const [i, input] of inputs.entries()) parts.push(await this.partOf(input, i))
    const ownerOf = new Map<Buffer, Buffer>()
    parts.forEach((part, i) => {
      if (donated[i]) ownerOf.set(part, inputs[i])
    })
    const writtenParts = new Set<Buffer>()
    try {
      const results = await this.runSegments(parts, writtenParts, name)
      for (const [i, input] of inputs.entries()) if (donated[i] && input instanceof ProcessBuffer) input.donated()
      return results.map((part, i) => {
        const { aval, sharding } = this.layouts.outputs[i]
        return this.wrap(aval, part, sharding)
      })
    } finally {
      for (const part of writtenParts) {
        const owner = ownerOf.get(part)
        if (owner) written.add(owner)
      }
    }
  }

  async release(): Promise<void> {
    await Promise.all(this.segments.map(s => s?.release()))
  }

  /** This process's part of an input, laid out as the program takes it. */
  private async partOf(input: Buffer, i: number): Promise<Buffer> {
    const { aval, sharding } = this.layouts.inputs[i]
    check(
      sameAval(input.aval, aval),
      () => `input ${i} is ${formatAval(input.aval)}, but the program was compiled for ${formatAval(aval)}`,
    )
    if (input instanceof ProcessBuffer && sameSharding(input.sharding, sharding)) return input.local
    if (!(input instanceof ProcessBuffer) && isEverywhere(sharding)) return input
    const whole = await this.wholeOf(input)
    return this.backend.put(ownPart(whole, sharding, this.place))
  }

  private async wholeOf(input: Buffer): Promise<HostTensor> {
    if (!(input instanceof ProcessBuffer)) return input.read()
    return gatherWhole(await input.local.read(), input.sharding, this.place)
  }

  private async runSegments(parts: readonly Buffer[], written: Set<Buffer>, name?: string): Promise<Buffer[]> {
    const { inputs, segments, outputs } = this.cut
    const values = new Map<Atom, Buffer>(inputs.map((v, i) => [v, parts[i] ?? this.position(i - parts.length)]))
    const isInput = new Set<Atom>(inputs)
    const results: Buffer[][] = []
    for (const [i, { program, regions }] of segments.entries()) {
      const operands = program.inputs.map(v => values.get(v)!)
      const computed = (await this.segments[i]?.run(operands, written, name)) ?? []
      results.push(computed)
      takeResults(segments[i], computed, values, isInput, written)
      const collectives: OwnCollective[] = []
      for (const { equation } of regions) {
        const [x] = equation.inputs
        const operand = x instanceof Lit ? hostScalar(x.aval.dtype, x.value) : await values.get(x)!.read()
        collectives.push({ equation, operand })
      }
      const received = await runCollectives(collectives, this.place)
      regions.forEach(({ equation }, n) => values.set(equation.outputs[0], this.backend.put(received[n])))
    }
    return outputs.map(([segment, output]) => results[segment][output])
  }

  /** This process's position along an axis of the mesh: a scalar. */
  private position(axis: number): Buffer {
    const { mesh } = this.place
    return this.backend.put({
      dtype: 'int32',
      shape: [],
      data: Int32Array.of(this.place.along(mesh.axes[axis].name)),
    })
  }
}
