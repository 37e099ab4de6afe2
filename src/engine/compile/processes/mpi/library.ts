/** The functions of an MPI library. */
import { ConfigError, SwitchyardError } from '../../../../base/errors.js'
import { loadKoffi } from '../../koffi.js'
import { loadLibrary } from '../../shared-library.js'
import type { Handle, Handles } from './abi.js'
import { mpiInstallation } from './find-mpi.js'
import { kindOf } from './kind.js'
import type { Kind } from './kind.js'

/** The functions by their types in C: `p` is a pointer, `h` a handle, `i` an int. */
const signatures = {
  Init_thread: 'ppip',
  Comm_rank: 'hp',
  Comm_size: 'hp',
  Comm_set_errhandler: 'hh',
  Comm_dup: 'hp',
  Comm_group: 'hp',
  Group_incl: 'hipp',
  Comm_create_group: 'hhip',
  Iallreduce: 'ppihhhp',
  Ireduce_scatter_block: 'ppihhhp',
  Iallgather: 'pihpihhp',
  Ialltoall: 'pihpihhp',
  Ibcast: 'pihihp',
  Ibarrier: 'hp',
  Isend: 'pihiihp',
  Irecv: 'pihiihp',
  Test: 'ppp',
  Error_string: 'ipp',
  Abort: 'hi',
  Finalize: '',
} as const

export type FunctionName = keyof typeof signatures
export type Argument = Handle | ArrayBufferView | null
type Call = (...args: Argument[]) => number

/**
 * Settings of Open MPI, and of UCX and libfabric, the libraries that it and MPICH use. To notice freed memory, these
 * rewrite the machine code of the system's memory functions while they are loaded, which Node's other threads may be
 * running: 1 of 20 starts crashed. UCX's and Open MPI's handlers of signals would take the place of Node's.
 */
const settings = {
  UCX_MEM_EVENTS: 'n',
  UCX_MEM_MMAP_HOOK_MODE: 'none',
  UCX_HANDLE_ERRORS: 'none',
  UCX_ERROR_SIGNALS: '',
  // With cma, a process that reads the memory of one that has ended is aborted. Shared memory is as fast.
  UCX_TLS: '^cma',
  FI_MR_CACHE_MONITOR: 'disabled',
  OMPI_MCA_memory: '^patcher',
  OMPI_MCA_opal_signal: '',
  // Open MPI's sums of 8-bit and 16-bit integers by AVX stop at the largest value instead of wrapping.
  OMPI_MCA_op: '^avx',
} as const

/** Enough for any text that MPI writes: MPI_MAX_LIBRARY_VERSION_STRING and MPI_MAX_ERROR_STRING are 8192 at most. */
const TEXT_BYTES = 8192

/** An MPI library that is loaded into this process. */
export class MpiLibrary {
  private constructor(
    private readonly functions: { readonly [name in FunctionName]: Call },
    readonly kind: Kind,
    readonly handles: Handles,
  ) {}

  /** Loads a library. Throws a ConfigError if its binary interface is not known. */
  static async load(path: string): Promise<MpiLibrary> {
    const koffi = await loadKoffi()
    for (const [name, value] of Object.entries(settings)) process.env[name] ??= value
    try {
      const library = loadLibrary(koffi, path)
      const getVersion = library.func('MPI_Get_library_version', 'int', ['void *', 'void *'])
      const kind = kindOf(
        path,
        textFrom(bytes => getVersion(bytes, new Int32Array(1))),
      )
      if (kind === undefined)
        throw new ConfigError(
          `the binary interface of the MPI in ${path} is not known: install MPICH (${mpiInstallation()}), and start the processes with its mpiexec or with switchyard launch`,
        )
      const { abi } = kind
      const typeOf = { p: 'void *', h: abi.handle, i: 'int' } as const
      const functions = Object.fromEntries(
        Object.entries(signatures).map(([name, types]) => [
          name,
          library.func(
            `MPI_${name}`,
            'int',
            [...types].map(t => typeOf[t as keyof typeof typeOf]),
          ),
        ]),
      ) as unknown as { readonly [name in FunctionName]: Call }
      const handles = abi.handles(variable => koffi.address(library.symbol(variable)))
      return new MpiLibrary(functions, kind, handles)
    } catch (error) {
      if (error instanceof SwitchyardError) throw error
      throw new SwitchyardError(
        `${path} cannot be loaded as an MPI library: ${error instanceof Error ? error.message : error}. ` +
          'Choose another with SWITCHYARD_MPI',
        { cause: error },
      )
    }
  }

  /** Joins the job that this process was started in. */
  initialize(): void {
    const { COMM_WORLD, ERRORS_RETURN } = this.handles
    this.call('Init_thread', null, null, this.kind.abi.threadFunneled, new Int32Array(1))
    this.call('Comm_set_errhandler', COMM_WORLD, ERRORS_RETURN)
  }

  /** Calls a function. Throws a SwitchyardError with MPI's message if it fails. */
  call(name: FunctionName, ...args: Argument[]): void {
    const code = this.functions[name](...args)
    if (code !== 0)
      throw new SwitchyardError(
        `MPI_${name} failed: ${textFrom(bytes => this.functions.Error_string(code, bytes, new Int32Array(1)))}`,
      )
  }

  /** The integer that a function writes through its last argument. */
  read(name: FunctionName, ...args: Argument[]): number {
    const result = new Int32Array(1)
    this.call(name, ...args, result)
    return result[0]
  }

  /** The handle that a function writes through its last argument. */
  readHandle(name: FunctionName, ...args: Argument[]): Handle {
    const result = this.memoryForHandle()
    this.call(name, ...args, result)
    return result[0]
  }

  /** Memory for one handle, for functions that write or change it. */
  memoryForHandle(): Int32Array | BigInt64Array {
    return this.kind.abi.handle === 'int' ? new Int32Array(1) : new BigInt64Array(1)
  }
}

/** The text that a function writes. */
function textFrom(write: (bytes: Uint8Array) => unknown): string {
  const bytes = new Uint8Array(TEXT_BYTES)
  write(bytes)
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)))
}
