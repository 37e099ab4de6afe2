import type { HostTensor } from '../../base/host-tensor.js'
import type { Aval } from '../program/aval.js'
import type { Program } from '../program/program.js'

/** An array where a backend keeps it. */
export interface Buffer {
  readonly aval: Aval
  /** The data on the host. It may be the buffer's own memory: do not write to it, and be done before the buffer is donated. */
  read(): Promise<HostTensor>
}

/** What a compiled program consists of: for tests that the fast path ran, and for people. */
export interface ExecutableStats {
  /** Nodes of the backend's own graph, after it was written. */
  nodes: number
  /** Loops over donated memory, written in place. */
  fusedLoops: number
  /** How many bytes of results take the memory of donated inputs. */
  inPlaceBytes: number
  /** How many bytes of inputs are bound: see `Backend.bind`. */
  boundBytes: number
}

/** A program made ready to run. */
export interface Executable {
  readonly stats: ExecutableStats
  /** Donated inputs (see `Backend.compile`) may not be used afterwards. Runs do not overlap. */
  run(inputs: readonly Buffer[]): Promise<Buffer[]>
}

/** A function's programs at three different sizes. */
export type Examples = readonly [Program, Program, Program]

/** A function compiled once for the data of some of its inputs, and for any sizes of the others. */
export interface BoundFunction {
  /** The places of the bound inputs whose data the backend has copied: it keeps their buffers no longer. */
  readonly copied: readonly number[]
  /** Its program at some sizes, ready to run on the inputs that are not bound. */
  at(program: Program): Promise<Executable>
}

/** The seam between programs and whatever runs them. */
export interface Backend {
  readonly name: string
  /** What results depend on besides the program: library, version, number of threads. */
  describe(): Promise<string>
  put(tensor: HostTensor): Buffer
  /** `donated`: the inputs whose memory the results may take. */
  compile(program: Program, donated?: readonly boolean[]): Promise<Executable>
  /**
   * Compiles a function some of whose inputs hold the same data at each run (null: not this one). `examples`, its programs at three sizes, show
   * what depends on sizes: the data is laid out once for all of them. A backend that gains nothing by that compiles each program.
   */
  bind(examples: Examples, bound: readonly (Buffer | null)[], donated?: readonly boolean[]): Promise<BoundFunction>
}
