import type { HostTensor } from '../../../base/host-tensor.js'
import type { Atom, Program } from '../../program/program.js'
import type { Backend, Buffer, CompiledWithWeights, Executable } from '../backend.js'
import { takeResults } from '../cut.js'
import type { Cut } from '../cut.js'
import { sizedProgram } from '../sized-program.js'
import { sumOfStats } from '../stats.js'
import type { Groups, RegionInputs, RegionRunner } from './groups.js'
import { readInMemory } from './regions.js'
import type { Region } from './regions.js'

interface CompiledSegment {
  /** Null if it computes nothing. */
  readonly compiled: CompiledWithWeights | null
  /** One for each region after the segment. */
  readonly runners: readonly RegionRunner[]
}

/** A function with paged weights: a program cut at its regions, with the segments compiled for all sizes. */
export class PagedFunction {
  private constructor(
    private readonly backend: Backend,
    private readonly segments: readonly CompiledSegment[],
    private readonly isWeight: readonly boolean[],
    /** The weights that regions read from memory, at their positions. */
    private readonly kept: ReadonlyMap<number, Buffer>,
    /** The positions of the weights that every segment that reads them has copied. */
    readonly copied: readonly number[],
    /** See `CompiledWithWeights`: of the first such segment. */
    readonly eachSizeBecause: string | undefined,
  ) {}

  /** `weights` has null for inputs that are no weights. */
  static async compile(
    backend: Backend,
    groups: Groups,
    cuts: readonly [Cut<Region>, Cut<Region>, Cut<Region>],
    weights: readonly (Buffer | null)[],
  ): Promise<PagedFunction> {
    const [{ inputs, segments }] = cuts
    const lengths = inputs.flatMap((v, i) =>
      weights[i] ? [] : v.aval.shape.map((_, axis) => cuts.map(cut => cut.inputs[i].aval.shape[axis])),
    )
    const options = { lengths: [...new Map(lengths.map(values => [values.join(), values])).values()] }
    const bufferOf = new Map<Atom, Buffer | null>(inputs.map((v, i) => [v, weights[i]]))
    const ofRegions = new Set<Atom>(segments.flatMap(s => s.regions.flatMap(readInMemory)))
    const [copied, notCopied] = [new Set<Atom>(), new Set<Atom>(ofRegions)]
    const compiled: CompiledSegment[] = []
    // One after the other, because compiling a segment takes memory for copies of its weights.
    for (const [i, { program, donated, regions }] of segments.entries()) {
      const [a, b, c] = cuts.map(cut => cut.segments[i].program)
      const ofSegment = program.inputs.map(v => bufferOf.get(v) ?? null)
      const own = a.outputs.length > 0 ? await backend.compileWithWeights([a, b, c], ofSegment, donated, options) : null
      program.inputs.forEach((v, k) => (own?.copied.includes(k) ? copied : notCopied).add(v))
      const runners: RegionRunner[] = []
      for (const region of regions) runners.push(await groups.of(region))
      compiled.push({ compiled: own, runners })
    }
    return new PagedFunction(
      backend,
      compiled,
      weights.map(buffer => buffer !== null),
      new Map(inputs.flatMap((v, i) => (ofRegions.has(v) && weights[i] ? [[i, weights[i]] as const] : []))),
      inputs.flatMap((v, i) => (copied.has(v) && !notCopied.has(v) ? [i] : [])),
      compiled.flatMap(segment => segment.compiled?.eachSizeBecause ?? [])[0],
    )
  }

  /**
   * The function at one set of sizes. `cut` has the structure of the examples. If it is right in its types alone (see
   * `retyper`), `whole` makes the one that segments need which are compiled for each size.
   */
  async at(cut: Cut<Region>, whole: () => Cut<Region> = () => cut): Promise<Executable> {
    let made: Cut<Region> | undefined
    const executables: (Executable | undefined)[] = []
    for (const [i, { compiled }] of this.segments.entries()) {
      const program = (): Program => (made ??= whole()).segments[i].program
      executables.push(await compiled?.at({ ...sizedProgram(cut.segments[i].program), program }))
    }
    return {
      stats: sumOfStats(executables.flatMap(e => e?.stats ?? [])),
      run: (others, written) => this.run(cut, executables, others, written ?? new Set()),
      release: async () => {
        await Promise.all(executables.map(e => e?.release()))
      },
    }
  }

  /** Frees the compiled segments. */
  async release(): Promise<void> {
    for (const { compiled } of this.segments) await compiled?.release()
  }

  private async run(
    { inputs, segments, outputs }: Cut<Region>,
    executables: readonly (Executable | undefined)[],
    others: readonly Buffer[],
    written: Set<Buffer>,
  ): Promise<Buffer[]> {
    const values = new Map<Atom, Buffer>()
    const isWeight = new Set<Atom>()
    const given = others[Symbol.iterator]()
    for (const [i, v] of inputs.entries()) {
      if (this.isWeight[i]) isWeight.add(v)
      const buffer = this.isWeight[i] ? this.kept.get(i) : given.next().value
      if (buffer) values.set(v, buffer)
    }
    const isInput = new Set<Atom>(inputs)
    const results: Buffer[][] = []
    for (const [i, { program, regions }] of segments.entries()) {
      const operands = program.inputs.filter(v => !isWeight.has(v)).map(v => values.get(v)!)
      const computed = (await executables[i]?.run(operands, written)) ?? []
      results.push(computed)
      takeResults(segments[i], computed, values, isInput, written)
      for (const [k, region] of regions.entries()) {
        const made = await this.segments[i].runners[k].run(region, await hostInputs(region, values))
        region.outputs.forEach((o, n) => values.set(o, this.backend.put(made[n])))
      }
    }
    return outputs.map(([segment, output]) => results[segment][output])
  }
}

async function hostInputs(
  { groupSizes, rows, scalars, arrays, sources }: Region,
  values: ReadonlyMap<Atom, Buffer>,
): Promise<RegionInputs> {
  const read = (a: Atom): Promise<HostTensor> => values.get(a)!.read()
  const all = (atoms: readonly Atom[]): Promise<HostTensor[]> => Promise.all(atoms.map(read))
  return {
    groupSizes: await read(groupSizes),
    rows: await all(rows),
    scalars: await all(scalars),
    arrays: await all(arrays),
    sources: sources && (await read(sources)),
  }
}
