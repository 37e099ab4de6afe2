import { allocate, dtypes } from '../../../base/dtypes.js'
import { bytesOfType, reader, sizeOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { Aval } from '../../program/aval.js'
import { Program, Var } from '../../program/program.js'
import type { Buffer, Executable, ExecutableStats } from '../backend.js'
import type { FusedLoop, Segments } from '../segments.js'
import { tensorOn } from '../wasm/arena.js'
import type { Arena, Block } from '../wasm/arena.js'
import type { Generator } from '../wasm/generator.js'
import type { Loop, Loops } from '../wasm/loop.js'
import { interpret } from '../reference/interpret.js'
import { HostBuffer, inMemory } from './buffer.js'
import type { StateMemory } from './buffer.js'
import type { Donation } from './in-place.js'
import { atBoundary } from './model.js'
import type { PartViews } from './part-views.js'
import type { Session } from './session.js'

/** Garbage is collected after a run has moved more state than this. Less is not worth the time. */
const MOVED_BYTES = 2 ** 26

/** Memory of donated inputs that no result took, by size in bytes. The next run puts results of the same size there. */
export type SpareMemory = Map<number, HostTensor['data'][]>

/** Compiled generators of a program's random numbers: see `Generated`. */
export interface GeneratedCode {
  readonly seeds: Program
  readonly loops: readonly Generator[]
}

/**
 * A compiled program: generators of random numbers, then the session (the main part), then the loops that update state
 * in place.
 */
export class OnnxExecutable implements Executable {
  private readonly loops: { fused: FusedLoop; code: Loop; arrays: readonly Var[]; scalars: readonly Var[] }[]
  /** The outputs of the generators and of the loops. */
  private readonly loopOutputs: ReadonlySet<Var>
  private readonly segments: Segments
  /** How many of the main part's results are returned: the first ones. The loops read the rest. */
  private readonly numReturned: number

  constructor(
    private readonly memory: StateMemory,
    loops: Loops,
    private readonly session: Session | null,
    segments: Segments,
    readonly stats: ExecutableStats,
    private readonly donation: Donation,
    private readonly spare: SpareMemory = new Map(),
    private readonly generated: GeneratedCode = { seeds: new Program([], [], []), loops: [] },
    private readonly parts?: PartViews,
    private readonly collectGarbage?: () => void,
  ) {
    this.loopOutputs = new Set([
      ...generated.loops.flatMap(l => l.program.outputs as Var[]),
      ...segments.loops.flatMap(l => l.outputs),
    ])
    this.numReturned = segments.outputs.filter(o => !(o instanceof Var && this.loopOutputs.has(o))).length
    // A compiled program needs the types of its inputs and outputs, but no equations, which would take memory.
    const { inputs, outputs } = segments.main
    this.segments = { ...segments, main: new Program(inputs, [], outputs) }
    this.loops = segments.loops.map(fused => ({
      fused,
      code: loops.of(fused.program),
      arrays: fused.inputs.filter(v => v.aval.shape.length > 0),
      scalars: fused.inputs.filter(v => v.aval.shape.length === 0),
    }))
  }

  async release(): Promise<void> {
    await this.session?.release()
  }

  async run(buffers: readonly Buffer[], written = new Set<Buffer>()): Promise<Buffer[]> {
    const { main } = this.segments
    const inputs = await inMemory(buffers)
    if (this.loops.length === 0 && this.generated.loops.length === 0) return this.runGraph(inputs, written)
    const values = new Map<Var, HostBuffer>()
    inputs.forEach((buffer, i) => values.set(main.inputs[i], buffer))
    this.generate(inputs, values)
    // Blocks that no buffer holds, to be freed after the run: copies for the loops to read, and loop outputs not
    // computed yet.
    const unheld = new Set<Block>()
    try {
      const results = await this.runSegments(values, unheld, written)
      this.keepSpare(inputs)
      return results
    } finally {
      for (const block of unheld) block.arena.release(block)
    }
  }

  /** Runs a program that is its session alone, such as each step of generation: without a table of values. */
  private async runGraph(inputs: readonly HostBuffer[], written: Set<Buffer>): Promise<Buffer[]> {
    const results = this.segments.main.outputs.map(({ aval }, i) =>
      this.resultOf(aval, this.donorOf(i, inputs), written),
    )
    await this.runSession(inputs, results)
    this.keepSpare(inputs)
    return results
  }

  private donorOf(output: number, inputs: readonly HostBuffer[]): HostBuffer | undefined {
    const position = this.donation.donors[output]
    return position === null ? undefined : inputs[position]
  }

  /** A buffer for a result of the session: in the memory of its donor, if it has one whose memory it may take. */
  private resultOf(aval: Aval, donor: HostBuffer | undefined, written: Set<Buffer>): HostBuffer {
    if (!donor?.recyclable) return this.fresh(aval)
    written.add(donor)
    return passOn(donor)
  }

  private async runSession(inputs: readonly HostBuffer[], results: readonly HostBuffer[]): Promise<void> {
    const passed = inputs.map(b => atBoundary(b.tensor))
    await this.session?.run(
      this.parts ? [...passed, ...this.parts.of(passed)] : passed,
      results.map(b => atBoundary(b.tensor)),
    )
  }

  /** Computes the scalars that the generators read, and runs the generators. */
  private generate(inputs: readonly HostBuffer[], values: Map<Var, HostBuffer>): void {
    const { seeds, loops } = this.generated
    if (loops.length === 0) return
    const scalars = interpret(
      seeds,
      inputs.map(b => b.tensor),
    )
    for (const generator of loops) {
      const { inputs: read, outputs } = generator.program
      const tensors = generator.run(scalars.splice(0, read.length))
      tensors.forEach((tensor, i) => {
        const buffer = new HostBuffer(outputs[i].aval, tensor)
        buffer.recyclable = true
        values.set(outputs[i] as Var, buffer)
      })
    }
  }

  /** Runs the session and the loops. Adds all values that they compute to `values`. */
  private async runSegments(values: Map<Var, HostBuffer>, unheld: Set<Block>, written: Set<Buffer>): Promise<Buffer[]> {
    const { main } = this.segments
    const blocks = new Map<Var, Block>()
    let movedBytes = 0
    for (const { fused, code, arrays } of this.loops) {
      movedBytes += this.placeLoop(fused, arrays, values, blocks, unheld)
      code.prepare(blocks.get(fused.outputs[0])!.arena)
    }
    // State is moved in its first run. Without this, it would exist twice while the session needs memory too.
    if (movedBytes > MOVED_BYTES) this.collectGarbage?.()
    const inputs = main.inputs.map(v => values.get(v)!)

    // The session writes results that loops read into the loops' blocks, and all others into memory of their own.
    const results = main.outputs.map((o, i) => {
      const block = i >= this.numReturned && o instanceof Var ? blocks.get(o) : undefined
      if (block) return new HostBuffer(o.aval, tensorOn(block, o.aval.shape, sizeOf(o.aval.shape)))
      return this.resultOf(o.aval, this.donorOf(i, inputs), written)
    })
    await this.runSession(inputs, results)
    main.outputs.forEach((o, i) => {
      if (o instanceof Var && !values.has(o)) values.set(o, results[i])
    })

    for (const { fused, code, arrays, scalars } of this.loops) {
      const operands = [...arrays, ...fused.outputs].map(v => blocks.get(v)!)
      for (const v of fused.inPlace) if (v) written.add(values.get(v)!)
      code.run(
        fused.outputs[0].aval.shape,
        operands,
        scalars.map(v => {
          const { dtype, data } = values.get(v)!.tensor
          return reader(dtype, data)(0)
        }),
      )
      fused.outputs.forEach((o, i) => {
        const donor = fused.inPlace[i]
        if (donor) this.memory.take(values.get(donor)!)
        const block = blocks.get(o)!
        unheld.delete(block)
        values.set(o, this.memory.hold(o.aval, block))
      })
    }
    return this.outputsOf(results, values)
  }

  /**
   * Finds a block in one arena for every array of a loop, and moves donated state there. Adds the blocks to `blocks`.
   * Returns how many bytes of state were moved.
   */
  private placeLoop(
    { outputs, inPlace }: FusedLoop,
    arrays: readonly Var[],
    values: Map<Var, HostBuffer>,
    blocks: Map<Var, Block>,
    unheld: Set<Block>,
  ): number {
    // The arena that holds the first array which is in one.
    const home: Arena | undefined = arrays.map(v => values.get(v)?.block?.arena).find(a => a !== undefined)
    const atHome = arrays.filter(v => values.get(v)?.block && values.get(v)!.block!.arena === home)
    const newOutputs = outputs.filter((_, i) => inPlace[i] === null)
    const blocksFor = (vars: readonly Var[], preferred?: Arena): Block[] =>
      this.memory.arenas.allocateTogether(
        vars.map(v => bytesOfType(v.aval)),
        preferred,
      )
    let moving: readonly Var[] = arrays.filter(v => !atHome.includes(v))
    let found = blocksFor([...moving, ...newOutputs], home)
    if (atHome.length > 0 && found.some(b => b.arena !== home)) {
      // The arena has no room for the rest, so all arrays move to another one.
      for (const block of found) block.arena.release(block)
      moving = arrays
      found = blocksFor([...moving, ...newOutputs])
    }
    for (const v of arrays) if (!moving.includes(v)) blocks.set(v, values.get(v)!.block!)
    let movedBytes = 0
    for (const [i, v] of moving.entries()) {
      const block = found[i]
      blocks.set(v, block)
      const source = values.get(v)
      if (source && inPlace.includes(v) && source.block === null) {
        this.memory.move(source, block)
        movedBytes += bytesOfType(v.aval)
        continue
      }
      if (source)
        (tensorOn(block, v.aval.shape, sizeOf(v.aval.shape)).data as Float32Array).set(
          source.tensor.data as Float32Array,
        )
      if (source && inPlace.includes(v)) values.set(v, this.memory.hold(v.aval, block))
      else unheld.add(block)
    }
    newOutputs.forEach((o, i) => {
      const block = found[moving.length + i]
      blocks.set(o, block)
      unheld.add(block)
    })
    outputs.forEach((o, i) => {
      if (inPlace[i]) blocks.set(o, blocks.get(inPlace[i])!)
    })
    return movedBytes
  }

  /** A buffer for a result of the session, in spare memory if there is some of its size. */
  private fresh(aval: Aval): HostBuffer {
    const bytes = bytesOfType(aval)
    const data = this.spare.get(bytes)?.pop()
    const { dtype, shape } = aval
    const buffer = new HostBuffer(aval, {
      dtype,
      shape,
      data: data ? dtypes[dtype].make(data.buffer, 0, sizeOf(shape)) : allocate(dtype, sizeOf(shape)),
    })
    buffer.recyclable = true
    return buffer
  }

  /** Keeps the memory of donated inputs that no result took, for the next run. */
  private keepSpare(inputs: readonly HostBuffer[]): void {
    this.spare.clear()
    inputs.forEach(({ tensor, recyclable }, i) => {
      if (!this.donation.donated[i] || !recyclable) return
      const list = this.spare.get(tensor.data.byteLength) ?? []
      list.push(tensor.data)
      this.spare.set(tensor.data.byteLength, list)
    })
  }

  /** The program's outputs: results of the session, and outputs of generators and loops. */
  private outputsOf(results: readonly HostBuffer[], values: ReadonlyMap<Var, HostBuffer>): Buffer[] {
    const returned = new Set<Var>()
    let next = 0
    return this.segments.outputs.map(o => {
      if (!(o instanceof Var && this.loopOutputs.has(o))) return results[next++]
      const buffer = values.get(o)!
      // Each output needs a buffer of its own, so a value that is returned twice is copied.
      if (returned.has(o)) return new HostBuffer(o.aval, { ...buffer.tensor, data: buffer.tensor.data.slice() })
      returned.add(o)
      return buffer
    })
  }
}

/** A buffer for a result in the memory of a donated buffer. */
function passOn(donor: HostBuffer): HostBuffer {
  const buffer = new HostBuffer(donor.aval, donor.tensor)
  buffer.recyclable = true
  donor.recyclable = false
  return buffer
}
