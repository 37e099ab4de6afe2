/** The functions of an MPI library with MPICH's binary interface, and its constants. */
import { ConfigError, SwitchyardError } from '../../../../base/errors.js'
import { loadKoffi } from '../../koffi.js'
import { loadLibrary } from '../../shared-library.js'
import { mpiInstallation } from './find-mpi.js'

/** A communicator, a datatype, a request, ...: MPICH's handles are integers. */
export type Handle = number

export const COMM_WORLD: Handle = 0x44000000
const ERRORS_RETURN: Handle = 0x54000001
/** Only the thread that has initialized MPI calls it. */
const THREAD_FUNNELED = 1

export const types = {
  byte: 0x4c00010d,
  float32: 0x4c00040a,
  int8: 0x4c000137,
  uint8: 0x4c00013b,
  uint16: 0x4c00023c,
  int32: 0x4c000439,
  uint32: 0x4c00043d,
  int64: 0x4c00083a,
} as const satisfies { [name: string]: Handle }

export const operations = { max: 0x58000001, sum: 0x58000003 } as const

/** The functions by their types in C: `p` is a pointer, `i` an int or a handle. */
const signatures = {
  Get_library_version: 'pp',
  Init_thread: 'ppip',
  Comm_rank: 'ip',
  Comm_size: 'ip',
  Comm_set_errhandler: 'ii',
  Comm_dup: 'ip',
  Comm_group: 'ip',
  Group_incl: 'iipp',
  Comm_create_group: 'iiip',
  Iallreduce: 'ppiiiip',
  Ireduce_scatter_block: 'ppiiiip',
  Iallgather: 'piipiiip',
  Ialltoall: 'piipiiip',
  Ibcast: 'piiiip',
  Ibarrier: 'ip',
  Isend: 'piiiiip',
  Irecv: 'piiiiip',
  Test: 'ppp',
  Error_string: 'ipp',
  Abort: 'ii',
  Finalize: '',
} as const

export type FunctionName = keyof typeof signatures
export type Argument = number | ArrayBufferView | null
type Call = (...args: Argument[]) => number

/**
 * Settings of the libraries below MPICH, UCX and libfabric. To notice freed memory, both rewrite the machine code of
 * the system's memory functions while they are loaded, which Node's other threads may be running: 1 of 20 starts
 * crashed. UCX's handlers of signals would take the place of Node's.
 */
const withoutHooks = {
  UCX_MEM_EVENTS: 'n',
  UCX_MEM_MMAP_HOOK_MODE: 'none',
  UCX_HANDLE_ERRORS: 'none',
  UCX_ERROR_SIGNALS: '',
  FI_MR_CACHE_MONITOR: 'disabled',
} as const

/** An MPI library that is loaded into this process. */
export class MpiLibrary {
  private constructor(
    private readonly functions: { readonly [name in FunctionName]: Call },
    /** Its name and version: `MPICH 5.0.2`. */
    readonly version: string,
  ) {}

  /** Loads a library. Throws a ConfigError if it is another MPI than MPICH and those that share its interface. */
  static async load(path: string): Promise<MpiLibrary> {
    const koffi = await loadKoffi()
    for (const [name, value] of Object.entries(withoutHooks)) process.env[name] ??= value
    let functions: { readonly [name in FunctionName]: Call }
    try {
      const library = loadLibrary(koffi, path)
      const typeOf = { p: 'void *', i: 'int' } as const
      functions = Object.fromEntries(
        Object.entries(signatures).map(([name, types]) => [
          name,
          library.func(
            `MPI_${name}`,
            'int',
            [...types].map(t => typeOf[t as 'p' | 'i']),
          ),
        ]),
      ) as unknown as typeof functions
    } catch (error) {
      throw new SwitchyardError(
        `${path} cannot be loaded as an MPI library: ${error instanceof Error ? error.message : error}. ` +
          'Choose another with SWITCHYARD_MPI',
        { cause: error },
      )
    }
    const version = versionIn(textFrom(bytes => functions.Get_library_version(bytes, new Int32Array(1)), 8192))
    if (version === undefined)
      throw new ConfigError(
        `${path} is an MPI without MPICH's binary interface, such as Open MPI: install MPICH (${mpiInstallation()}), and start the processes with its mpiexec or with switchyard launch`,
      )
    return new MpiLibrary(functions, version)
  }

  /** Joins the job that this process was started in. */
  initialize(): void {
    this.call('Init_thread', null, null, THREAD_FUNNELED, new Int32Array(1))
    this.call('Comm_set_errhandler', COMM_WORLD, ERRORS_RETURN)
  }

  /** Calls a function. Throws a SwitchyardError with MPI's message if it fails. */
  call(name: FunctionName, ...args: Argument[]): void {
    const code = this.functions[name](...args)
    if (code !== 0)
      throw new SwitchyardError(
        `MPI_${name} failed: ${textFrom(bytes => this.functions.Error_string(code, bytes, new Int32Array(1)), 1024)}`,
      )
  }

  /** The integer that a function writes through its last argument. */
  read(name: FunctionName, ...args: Argument[]): number {
    const result = new Int32Array(1)
    this.call(name, ...args, result)
    return result[0]
  }
}

/** The text that a function writes. */
function textFrom(write: (bytes: Uint8Array) => unknown, length: number): string {
  const bytes = new Uint8Array(length)
  write(bytes)
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)))
}

/** `MPICH 5.0.2` from the text that a library describes itself by; undefined for an MPI of another family. */
function versionIn(text: string): string | undefined {
  const mpich = /^MPICH Version:\s*(\S+)/m.exec(text)?.[1]
  if (mpich) return `MPICH ${mpich}`
  const other = /^(Intel\(R\) MPI Library \S+|MVAPICH\S* Version\s*:?\s*\S+|CRAY MPICH version \S+)/m.exec(text)?.[1]
  return other?.replaceAll(/\s+/g, ' ')
}
