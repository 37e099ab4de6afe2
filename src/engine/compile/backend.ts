import type { HostTensor } from '../../base/host-tensor.js'
import type { StoredTensor } from '../../base/stored-tensor.js'
import type { Aval } from '../program/aval.js'
import type { Program } from '../program/program.js'
import type { NamedSharding, Partition } from '../program/sharding.js'
import type { Communicator } from './processes/communicator.js'

export type { Partition }

/** A part of an array. */
export interface ArrayShard {
  /** The index of the part's first element. */
  readonly start: readonly number[]
  readonly shape: readonly number[]
  /** The part's data on the host: see `Buffer.read`. */
  read(): Promise<HostTensor>
}

/** Reads the part of an array that begins at the index `start`. The backend may keep it. */
export type ReadPart = (start: readonly number[], shape: readonly number[]) => Promise<HostTensor>

/** An array in a backend's memory. */
export interface Buffer {
  readonly aval: Aval
  /** How the array is laid out over a mesh of devices. Left out for an array on one device. */
  readonly sharding?: NamedSharding
  /**
   * The different parts of an array on a mesh that this process has, one copy of each. Left out for an array on one
   * device.
   */
  readonly shards?: readonly ArrayShard[]
  /**
   * The data on the host. It may be the buffer's own memory: do not write to it, and do not read it after the buffer is
   * donated. Throws a SwitchyardError if other processes have parts of the array.
   */
  read(): Promise<HostTensor>
  /**
   * Frees the memory, once nothing uses it. The buffer cannot be used afterwards. Left out if the memory is freed only
   * when the buffer is garbage-collected.
   */
  dispose?(): void
}

/** Figures of a compiled program, for people and for tests of the compiler. */
export interface ExecutableStats {
  /** Nodes of the backend's own graph, before its runtime optimizes it. */
  nodes: number
  /** Loops that generate arrays of random numbers. */
  generators: number
  /** Loops that write into donated memory. */
  fusedLoops: number
  /** Bytes of results that take the memory of donated inputs. */
  inPlaceBytes: number
  /** Bytes of weights that are part of the compiled program: see `Backend.compileWithWeights`. */
  weightBytes: number
}

/** A compiled program. */
export interface Executable {
  readonly stats: ExecutableStats
  /** The layouts of the results. Left out if the program is not partitioned: see `Backend.compile`. */
  readonly shardings?: readonly NamedSharding[]
  /**
   * Donated inputs (see `Backend.compile`) may not be used after a run that succeeded. A run that fails adds to
   * `written` the donated inputs whose data it may have overwritten; all other inputs are unchanged. The next run may
   * begin when the promise resolves; the results may still be being computed then, and `Buffer.read` throws if that
   * fails. `name`: the function's name, for such errors.
   */
  run(inputs: readonly Buffer[], written?: Set<Buffer>, name?: string): Promise<Buffer[]>
  /**
   * As `run`, without waiting: for backends that queue runs themselves. It throws if the run could not be queued, and
   * has written to no input then. null: this run needs `run`, and nothing was done. Left out: every run does.
   */
  runNow?(inputs: readonly Buffer[], name?: string): readonly Buffer[] | null
  /**
   * Frees the memory that the executable holds outside of JavaScript's. It must not be running, and cannot run
   * afterwards.
   */
  release(): Promise<void>
}

/** A function's programs at three different input sizes. What differs between them depends on the sizes. */
export type ProgramsAtSizes = readonly [Program, Program, Program]

/** A function's program at one set of sizes. */
export interface SizedProgram {
  readonly inputs: readonly Aval[]
  readonly outputs: readonly Aval[]
  /** The program itself, which may only be traced now. */
  program(): Program
}

/** How a function is compiled with its weights. */
export interface WithWeightsOptions {
  /**
   * The function is one of many small ones, which should take little memory beside their weights, and no threads of
   * their own.
   */
  readonly isSmall?: boolean
  /**
   * For a part of a larger function: the lengths of the larger function's inputs, each in the three examples. The
   * lengths of the part's inputs follow from them.
   */
  readonly lengths?: readonly (readonly number[])[]
}

/** A function compiled with the data of some inputs, its weights, for any sizes of its other inputs. */
export interface CompiledWithWeights {
  /**
   * Why each set of sizes is compiled by itself, with code and perhaps weights of its own: a clause about the function.
   * Left out if all share one form, or if the backend always does that.
   */
  readonly eachSizeBecause?: string
  /** The positions of the weights that the backend has copied, and whose buffers it therefore does not keep. */
  readonly copied: readonly number[]
  /**
   * The executable for one set of sizes, given the function's program at these sizes. It takes the inputs that are not
   * weights. If all sizes share one form, that of the examples, the program's types are enough.
   */
  at(sizes: SizedProgram): Promise<Executable>
  /** Frees what all sizes share. None of the executables may be running, and none can run afterwards. */
  release(): Promise<void>
}

/** A program of few rows that reads kernels where they lie, in the memory of pages. */
export interface FewRows {
  /** As `Executable.run`; null if these inputs need the compiled program. */
  run(inputs: readonly Buffer[]): Promise<Buffer[] | null>
  release(): Promise<void>
}

/** The stages of a program's compilation, for inspection. */
export interface Compilation {
  /** The program after simplification. */
  readonly program: Program
  /** Random numbers: parts that run as loops from scalars to arrays, before the graph. */
  readonly generators: readonly Program[]
  /** Updates of donated state: parts that run as loops in place, after the graph. */
  readonly loops: readonly Program[]
  /** How many donated inputs are written in place. */
  readonly inPlaceArrays: number
  /** The nodes of the backend's own graph: the operation's name, and the node as a line of text. */
  readonly nodes: readonly { readonly operation: string; readonly text: string }[]
  readonly stats: ExecutableStats
}

/** Compiles programs. The engine uses backends through this interface only. */
export interface Backend {
  readonly name: string
  /** How many devices programs can be partitioned over. Left out: 1. */
  readonly numDevices?: number
  /** Whether a function with weights is compiled again for each size of its other inputs. Left out: it is not. */
  readonly compilesEachSize?: boolean
  /**
   * Whether its compiler divides a program over the devices of a mesh. false: it runs on a mesh only what a `shardMap`
   * says that each device does. Left out: true.
   */
  readonly partitionsPrograms?: boolean
  /**
   * The processes of the job, if each of them is one device. A buffer then has the parts of this process only. All
   * processes call for the same runs in the same order.
   */
  readonly processes?: Communicator
  /** Whether arrays are in devices' own memory, and not in the machine's. Left out: false. */
  readonly hasOwnMemory?: boolean
  /** What results depend on besides the program, for reports: library, version, number of threads. */
  describe(): Promise<string>
  /**
   * Makes a buffer of host data, which the buffer may keep: do not write to it afterwards. With a sharding, each device
   * of the mesh gets its part.
   */
  put(tensor: HostTensor, sharding?: NamedSharding): Buffer
  /**
   * Makes a buffer on a mesh of parts that `read` reads. It is called for each part that this process has, once, one
   * after the other. Left out by backends of one device.
   */
  putParts?(type: Aval, sharding: NamedSharding, read: ReadPart): Promise<Buffer>
  /**
   * Makes a buffer of a tensor in a file. A backend without it gets the data from `put`. The file must stay as it is
   * until the buffer is read, or a function is compiled with it.
   */
  putStored?(tensor: StoredTensor): Buffer
  /** Frees the memory of buffers that nothing refers to now, if it can be done. */
  collectGarbage?(): void
  /**
   * `donated`: the inputs whose memory the results may take. With a `partition`, which only backends with as many
   * devices as its mesh are given, the program runs on all devices of the mesh. The executable then takes inputs of any
   * layout: it moves those that are laid out otherwise.
   */
  compile(program: Program, donated?: readonly boolean[], partition?: Partition): Promise<Executable>
  /** The stages of `compile` for a program. */
  explain(program: Program, donated?: readonly boolean[]): Compilation
  /**
   * Compiles a function some of whose inputs, its weights, hold the same data in each run. `weights` has a buffer for
   * each of them and null for each other input. The backend prepares the weights once, for all sizes of the other
   * inputs. A backend that has nothing to prepare compiles the program of each size separately.
   */
  compileWithWeights(
    examples: ProgramsAtSizes,
    weights: readonly (Buffer | null)[],
    donated?: readonly boolean[],
    options?: WithWeightsOptions,
  ): Promise<CompiledWithWeights>
  /**
   * Whether a composite's kernel gives other results, by more than rounding, if its arrays are inputs instead of
   * weights. Left out: none does.
   */
  needsWeights?(composite: string): boolean
  /**
   * A faster way to run a program with few rows whose kernels are inputs, such as one expert of a model, without
   * compiling it; null if there is none. Left out: there never is.
   */
  forFewRows?(program: Program): Promise<FewRows | null>
}
