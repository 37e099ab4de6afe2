import { bytesOfType } from '../../../base/host-tensor.js'
import { Lru } from '../../../base/lru.js'
import { cachedPromise } from '../../../base/promise-cache.js'
import { is } from '../../program/program.js'
import type { Program } from '../../program/program.js'
import type { Backend, Buffer, CompiledWithWeights, Executable, FewRows, ProgramsAtSizes } from '../backend.js'
import { sizedProgram } from '../sized-program.js'
import type { Page } from './pages.js'

/** How many numbers of rows stay compiled. */
const MAX_SIZES = 256

/**
 * What a program compiled for a page takes, in bytes of its page: a copy of its weights, and memory between the copies
 * that the allocator cannot use. Measured with ONNX Runtime and pages of 3 and 15 MB, after three times as many
 * programs as are kept have been made and freed.
 */
const COPY = 1.4

/** What a region computes for one group. */
export interface GroupRun {
  readonly numRows: number
  /** Makes the program for `numRows` rows, whose inputs are `operands`, then the `parts` of the page. */
  readonly program: () => Program
  readonly operands: readonly Buffer[]
  readonly page: Page
  readonly parts: readonly Buffer[]
}

/** A region for one group, compiled for all numbers of rows. */
export interface CompiledGroup {
  /** Runs the region for one group. */
  run(group: GroupRun): Promise<Buffer[]>
  release(): Promise<void>
}

/**
 * Compiles a region for one group, from its programs at three numbers of rows. The last `numParts` inputs are parts of
 * the page.
 */
export async function compileGroup(
  backend: Backend,
  examples: ProgramsAtSizes,
  numParts: number,
): Promise<CompiledGroup> {
  const compiled = await compiledGroup(backend, examples, numParts)
  return backend.forFewRows ? new GroupOfFewRows(compiled, program => backend.forFewRows!(program)) : compiled
}

async function compiledGroup(backend: Backend, examples: ProgramsAtSizes, numParts: number): Promise<CompiledGroup> {
  const needsWeights = examples[0].equations.some(
    e => is(e, 'composite') && backend.needsWeights?.(e.params.name) === true,
  )
  if (needsWeights) return new GroupWithWeights(backend, examples, numParts)
  return new GroupWithInputs(
    await backend.compileWithWeights(
      examples,
      examples[0].inputs.map(() => null),
    ),
  )
}

/** Runs programs of few rows in a faster way, where the backend has one. */
class GroupOfFewRows implements CompiledGroup {
  private readonly sizes = new Lru<number, Promise<FewRows | null>>(MAX_SIZES, few => release(few))

  constructor(
    private readonly compiled: CompiledGroup,
    private readonly make: (program: Program) => Promise<FewRows | null>,
  ) {}

  async run(group: GroupRun): Promise<Buffer[]> {
    const few = await cachedPromise(this.sizes, group.numRows, () => this.make(group.program()))
    const results = few && (await few.run([...group.operands, ...group.parts]))
    return results ?? this.compiled.run(group)
  }

  async release(): Promise<void> {
    for (const few of this.sizes.values()) await release(few)
    await this.compiled.release()
  }
}

/** The parts of pages are inputs, so all pages share one compiled program. */
class GroupWithInputs implements CompiledGroup {
  private readonly sizes = new Lru<number, Promise<Executable>>(MAX_SIZES, executable => release(executable))

  constructor(private readonly compiled: CompiledWithWeights) {}

  async run({ numRows, program, operands, parts }: GroupRun): Promise<Buffer[]> {
    const executable = await cachedPromise(this.sizes, numRows, () => this.compiled.at(sizedProgram(program())))
    return executable.run([...operands, ...parts])
  }

  async release(): Promise<void> {
    for (const executable of this.sizes.values()) await release(executable)
    await this.compiled.release()
  }
}

/** Frees what was compiled, if that did not fail. */
const release = (compiled: Promise<{ release(): Promise<void> } | null>): Promise<void> =>
  compiled.then(c => c?.release()).catch(() => undefined)

/**
 * The parts of a page are weights: the program is compiled for each page, and kept as long as the page is in memory and
 * there is room for it, or else for one run.
 */
class GroupWithWeights implements CompiledGroup {
  /** The pages that have room for their program, and these programs; null if its compilation has failed. */
  private readonly ofPages = new Map<Page, Promise<CompiledWithWeights> | null>()
  private readonly programs = new Lru<number, Program>(MAX_SIZES)

  constructor(
    private readonly backend: Backend,
    private readonly examples: ProgramsAtSizes,
    private readonly numParts: number,
  ) {}

  async run({ numRows, program: make, operands, page, parts }: GroupRun): Promise<Buffer[]> {
    let program = this.programs.get(numRows)
    if (!program) this.programs.set(numRows, (program = make()))
    const compiled = this.ofPages.get(page) ?? this.compile(page, parts)
    try {
      const executable = await (await compiled).at(sizedProgram(program))
      return await executable.run(operands)
    } finally {
      if (this.ofPages.get(page) !== compiled) await release(compiled)
    }
  }

  /** Compiles the program for a page. It is in `ofPages` as long as it is kept. */
  private compile(page: Page, parts: readonly Buffer[]): Promise<CompiledWithWeights> {
    const others = this.examples[0].inputs.slice(this.numParts).map(() => null)
    // The room comes first: other pages may have to leave memory for it.
    const bytes = parts.reduce((sum, { aval }) => sum + bytesOfType(aval), 0)
    const hasRoom = this.ofPages.has(page) || page.keep?.(Math.ceil(COPY * bytes), () => void this.forget(page))
    const compiled = this.backend.compileWithWeights(this.examples, [...others, ...parts], [], { isSmall: true })
    if (!hasRoom) return compiled
    this.ofPages.set(page, compiled)
    compiled.catch(() => {
      if (this.ofPages.get(page) === compiled) this.ofPages.set(page, null)
    })
    return compiled
  }

  /** Frees what was compiled for a page. */
  private async forget(page: Page): Promise<void> {
    const compiled = this.ofPages.get(page)
    this.ofPages.delete(page)
    if (compiled) await release(compiled)
  }

  async release(): Promise<void> {
    for (const page of this.ofPages.keys()) await this.forget(page)
  }
}
