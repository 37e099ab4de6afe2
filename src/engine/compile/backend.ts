import type { HostTensor } from '../../base/host-tensor.js'
import type { Aval } from '../program/aval.js'
import type { Program } from '../program/program.js'

/** An array where a backend keeps it. */
export interface Buffer {
  readonly aval: Aval
  /** The data on the host. It may be the buffer's own memory: do not write to it, and be done before the buffer is donated. */
  read(): Promise<HostTensor>
}

/** Figures of a compiled program, for people and for tests of what was compiled. */
export interface ExecutableStats {
  /** Nodes of the backend's own graph, as it was written. */
  nodes: number
  /** Loops that make arrays of random numbers. */
  generators: number
  /** Loops over donated memory, written in place. */
  fusedLoops: number
  /** Bytes of results that take the memory of donated inputs. */
  inPlaceBytes: number
  /** Bytes of weights that are part of the compiled program: see `Backend.compileWithWeights`. */
  weightBytes: number
}

/** A program made ready to run. */
export interface Executable {
  readonly stats: ExecutableStats
  /**
   * Donated inputs (see `Backend.compile`) may not be used after a run that succeeded. A run that fails leaves in `written` the donated
   * inputs whose data it may have destroyed; all others are as before. Runs do not overlap.
   */
  run(inputs: readonly Buffer[], written?: Set<Buffer>): Promise<Buffer[]>
  /** Gives up what the executable holds outside JavaScript's memory. It must not be running, and cannot run afterwards. */
  release(): Promise<void>
}

/** A function's programs at three different sizes: what differs between them depends on sizes. */
export type ProgramsAtSizes = readonly [Program, Program, Program]

/** A function compiled with the data of some inputs, its weights, for any sizes of its other inputs. */
export interface CompiledWithWeights {
  /** The positions of the weights that the backend has copied: it does not keep their buffers. */
  readonly copied: readonly number[]
  /** The function's program at some sizes, ready to run on the inputs that are not weights. */
  at(program: Program): Promise<Executable>
}

/** What a backend makes of a program, step by step. */
export interface Compilation {
  /** The program after simplification. */
  readonly program: Program
  /** Parts that run as loops from scalars to arrays, before the rest: random numbers. */
  readonly generators: readonly Program[]
  /** Parts that run as loops in place, after the rest. */
  readonly loops: readonly Program[]
  /** How many donated inputs are written in place. */
  readonly inPlaceArrays: number
  /** The nodes of the backend's own graph: the operation's name, and the node as a line of text. */
  readonly nodes: readonly { readonly operation: string; readonly text: string }[]
  readonly stats: ExecutableStats
}

/** The seam between programs and whatever runs them. */
export interface Backend {
  readonly name: string
  /** What results depend on besides the program: library, version, number of threads. */
  describe(): Promise<string>
  put(tensor: HostTensor): Buffer
  /** `donated`: the inputs whose memory the results may take. */
  compile(program: Program, donated?: readonly boolean[]): Promise<Executable>
  /** Shows what `compile` makes of a program. */
  explain(program: Program, donated?: readonly boolean[]): Compilation
  /**
   * Compiles a function some of whose inputs, its weights, hold the same data at each run (null: not a weight). The weights are laid out
   * once for all sizes of the other inputs. A backend that gains nothing by that compiles the program of each size.
   */
  compileWithWeights(
    examples: ProgramsAtSizes,
    weights: readonly (Buffer | null)[],
    donated?: readonly boolean[],
  ): Promise<CompiledWithWeights>
}
