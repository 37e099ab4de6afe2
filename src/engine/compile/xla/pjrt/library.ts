import { ComputationError, SwitchyardError } from '../../../../base/errors.js'
import { loadKoffi } from '../../koffi.js'
import type { Koffi } from '../../koffi.js'
import { Turns } from './turns.js'
import { errorCode, functions, headerVersion } from './table.js'

/** An address in native memory. */
export type Pointer = bigint

/** A value for a pointer: an address, or JavaScript memory. What it refers to must live until the call returns. */
export type PointerLike = Pointer | ArrayBufferView | null

export type FieldKind = 'pointer' | 'size' | 'int64' | 'int32' | 'float' | 'bool'
export interface Layout {
  readonly size: number
  readonly fields: { readonly [name: string]: readonly [offset: number, kind: FieldKind] }
}
type In<K extends FieldKind> = K extends 'pointer' ? PointerLike : K extends 'bool' ? boolean : number
type Out<K extends FieldKind> = K extends 'pointer' ? Pointer : K extends 'bool' ? boolean : number

/** Values for some fields of a struct. All other fields are 0. */
export type Values<L extends Layout> = { readonly [F in keyof L['fields']]?: In<L['fields'][F][1]> }
/** Reads a field of a struct. */
export type Reader<L extends Layout> = <F extends keyof L['fields']>(field: F) => Out<L['fields'][F][1]>

export type FunctionName = keyof typeof functions
type Arguments<N extends FunctionName> = (typeof functions)[N]

/** What buffers and executables need of their client. */
export interface PjrtPlatform {
  readonly library: PjrtLibrary
  /** Whether the devices' memory is the process's own. */
  readonly isOnHost: boolean
}

/** An error that a PJRT plugin returned. */
export class PjrtError extends ComputationError {
  constructor(
    message: string,
    /** The name of the status, for example RESOURCE_EXHAUSTED. */
    readonly code: string,
  ) {
    super(message)
  }
}

type Call = ((args: ArrayBufferView) => Pointer | null) & {
  async(args: ArrayBufferView, done: (error: unknown, result: Pointer | null) => void): void
}

/**
 * A PJRT plugin: a shared library that gives out a table of functions. Each takes the address of one struct of
 * arguments, writes its results into it, and returns null or an error.
 */
export class PjrtLibrary {
  private readonly calls = new Map<FunctionName, Call>()
  /** The memory for the arguments of calls that are not asynchronous, one for each function. */
  private readonly memory = new Map<FunctionName, DataView>()

  /** What native code may be using in other threads: kept here, so that it is not garbage-collected. */
  private readonly inUse = new Set<unknown>()
  /** Of calls in other threads. */
  private readonly turns = new Turns(MOST_IN_THREADS)

  private constructor(
    readonly path: string,
    private readonly koffi: Koffi,
    private readonly api: Pointer,
    /** The version of the API that the plugin implements. */
    readonly version: { readonly major: number; readonly minor: number },
  ) {}

  /** Loads a plugin and checks its version. A plugin stays loaded until the process ends. */
  static async load(path: string, { before = [] }: LoadOptions = {}): Promise<PjrtLibrary> {
    const koffi = await loadKoffi()
    setVariable(koffi, 'TF_CPP_MIN_LOG_LEVEL', ONLY_FATAL)
    for (const library of before) attempt(() => koffi.load(library, { global: true }))
    let api: Pointer | null
    try {
      const getApi = koffi.load(path).func('GetPjrtApi', 'void *', []) as () => Pointer | null
      keepLoaded(koffi, path)
      api = getApi()
    } catch (error) {
      throw new SwitchyardError(
        `${path} cannot be loaded as a PJRT plugin: ${error instanceof Error ? error.message : error}. ` +
          'Choose another with SWITCHYARD_PJRT_PLUGIN',
        { cause: error },
      )
    }
    if (api === null) throw new SwitchyardError(`${path} is no PJRT plugin: its GetPjrtApi returned nothing`)
    const head = new DataView(koffi.view(api, 40))
    const version = { major: head.getInt32(32, true), minor: head.getInt32(36, true) }
    checkVersion(path, version, Number(head.getBigUint64(0, true)))
    const library = new PjrtLibrary(path, koffi, api, version)
    library.call('Plugin_Initialize', {})
    return library
  }

  /**
   * Calls a function and checks its result for errors. Read the results before the next call of the same function:
   * they share memory.
   */
  call<N extends FunctionName>(name: N, args: Values<Arguments<N>>): Reader<Arguments<N>> {
    let memory = this.memory.get(name)
    if (memory) new Uint8Array(memory.buffer).fill(0)
    else this.memory.set(name, (memory = new DataView(new ArrayBuffer(functions[name].size))))
    this.writeStruct(memory, functions[name], args)
    // The engine may otherwise collect `args` before the call: it has no further use in JavaScript.
    this.inUse.add(args)
    const error = this.functionOf(name)(memory)
    this.inUse.delete(args)
    if (error !== null) throw this.errorOf(error)
    return this.reader(memory, functions[name])
  }

  /**
   * A function with its arguments, to be called again and again. They stay as they are; memory that they refer to may
   * change. Results are not read: only functions that write them to such memory are called so.
   */
  prepared<N extends FunctionName>(name: N, args: Values<Arguments<N>>): () => void {
    const memory = this.struct(functions[name], args)
    const call = this.functionOf(name)
    const kept = { args, memory }
    return () => {
      const error = call(kept.memory)
      if (error !== null) throw this.errorOf(error)
    }
  }

  /** Frees a buffer. It is called for each array, so its arguments keep one memory. */
  destroyBuffer(buffer: Pointer): void {
    const [offset] = functions.Buffer_Destroy.fields.buffer
    let memory = this.memory.get('Buffer_Destroy')
    if (!memory) this.memory.set('Buffer_Destroy', (memory = this.struct(functions.Buffer_Destroy, {})))
    memory.setBigUint64(offset, buffer, true)
    const error = this.functionOf('Buffer_Destroy')(memory)
    if (error !== null) throw this.errorOf(error)
  }

  /** Calls a function in another thread. `kept`: what the arguments refer to, beside the arguments themselves. */
  async callAsync<N extends FunctionName>(
    name: N,
    args: Values<Arguments<N>>,
    kept: readonly ArrayBufferView[] = [],
  ): Promise<Reader<Arguments<N>>> {
    const memory = this.struct(functions[name], args)
    const call = this.functionOf(name)
    const inUse = { args, memory, kept }
    this.inUse.add(inUse)
    try {
      const error = await this.turns.run(
        () =>
          new Promise<Pointer | null>((resolve, reject) =>
            call.async(memory, (failure, result) => (failure ? reject(failure) : resolve(result))),
          ),
      )
      if (error !== null) throw this.errorOf(error)
    } finally {
      this.inUse.delete(inUse)
    }
    return this.reader(memory, functions[name])
  }

  /**
   * Waits for an event, without blocking JavaScript, and frees it. Throws a PjrtError if what it stands for failed.
   * `kept`: memory that is in use until then.
   */
  async finish(event: Pointer, kept: readonly ArrayBufferView[] = []): Promise<void> {
    try {
      // Most computations are done by now, and then the wait in another thread would take longer than they did.
      if (this.call('Event_IsReady', { event })('is_ready')) this.call('Event_Await', { event })
      else await this.callAsync('Event_Await', { event }, kept)
    } finally {
      this.call('Event_Destroy', { event })
    }
  }

  /** Keeps memory alive until an event has happened, and frees the event. */
  keepUntil(event: Pointer, memory: ArrayBufferView): void {
    this.lent.push({ event, memory })
    this.lent = this.lent.filter(({ event: done }) => {
      const isOver = this.call('Event_IsReady', { event: done })('is_ready')
      if (isOver) this.call('Event_Destroy', { event: done })
      return !isOver
    })
  }
  private lent: { event: Pointer; memory: ArrayBufferView }[] = []

  /** A struct in memory of its own. What its pointers refer to must be kept alive by the caller. */
  struct<L extends Layout>(layout: L, values: Values<L>): DataView {
    const memory = new DataView(new ArrayBuffer(Math.ceil(layout.size / 8) * 8))
    this.writeStruct(memory, layout, values)
    return memory
  }

  /** Reads the fields of a struct. */
  reader<L extends Layout>(memory: DataView, layout: L): Reader<L> {
    return (field => {
      const [offset, kind] = layout.fields[field as string]
      return readers[kind](memory, offset)
    }) as Reader<L>
  }

  /** A view of native memory, without a copy. It is valid only as long as the memory is. */
  view(address: Pointer, bytes: number): ArrayBuffer {
    return bytes === 0 ? new ArrayBuffer(0) : this.koffi.view(address, bytes)
  }

  /** The text at an address, in UTF-8. */
  text(address: Pointer, bytes: number): string {
    return new TextDecoder().decode(this.view(address, bytes))
  }

  /** The pointers in an array in native memory. */
  pointers(address: Pointer, count: number): Pointer[] {
    return [...new BigUint64Array(this.view(address, 8 * count))]
  }

  /** Where JavaScript memory lies. It must be kept alive, and must not be detached, while the address is used. */
  addressOf(memory: ArrayBufferView): Pointer {
    return this.koffi.address(memory)
  }

  /** Calls a function that takes one pointer and returns nothing, such as a deleter. */
  release(deleter: Pointer, what: Pointer): void {
    this.koffi.call(deleter, (this.deleterType ??= this.koffi.proto('void', ['void *'])), what)
  }
  private deleterType: ReturnType<Koffi['proto']> | undefined

  private functionOf(name: FunctionName): Call {
    let call = this.calls.get(name)
    if (!call) {
      const [address] = this.pointers(this.api + BigInt(functions[name].slot), 1)
      if (address === 0n) throw new SwitchyardError(`the PJRT plugin ${this.path} does not implement ${name}`)
      call = this.koffi.decode(address, (this.callType ??= this.koffi.proto('void *', ['void *']))) as Call
      this.calls.set(name, call)
    }
    return call
  }
  private callType: ReturnType<Koffi['proto']> | undefined

  private writeStruct<L extends Layout>(memory: DataView, layout: L, values: Values<L>): void {
    memory.setBigUint64(0, BigInt(layout.size), true)
    for (const field in values) {
      const value = values[field as keyof Values<L>] as PointerLike | number | boolean
      const [offset, kind] = layout.fields[field]
      if (kind === 'pointer') memory.setBigUint64(offset, this.addressOfLike(value as PointerLike), true)
      else if (kind === 'size' || kind === 'int64') memory.setBigInt64(offset, BigInt(value as number), true)
      else if (kind === 'int32') memory.setInt32(offset, value as number, true)
      else if (kind === 'float') memory.setFloat32(offset, value as number, true)
      else memory.setUint8(offset, value ? 1 : 0)
    }
  }

  private addressOfLike(value: PointerLike): Pointer {
    return value === null ? 0n : typeof value === 'bigint' ? value : this.addressOf(value)
  }

  /** The error at an address, which is freed. */
  private errorOf(error: Pointer): PjrtError {
    // These two functions do not return errors, and `Error_Destroy` returns nothing at all.
    const read = this.struct(functions.Error_Message, { error })
    this.functionOf('Error_Message')(read)
    const out = this.reader(read, functions.Error_Message)
    const message = this.text(out('message'), out('message_size'))
    const code = this.call('Error_GetCode', { error })('code')
    this.functionOf('Error_Destroy')(this.struct(functions.Error_Destroy, { error }))
    const name = Object.entries(errorCode).find(([, value]) => value === code)?.[0] ?? `error ${code}`
    return new PjrtError(`XLA: ${message.trim()} (${name})`, name)
  }
}

/** At most this many calls run in other threads at once. koffi refuses more than 256, and gives each a stack. */
const MOST_IN_THREADS = 64

/** What happens before a plugin is loaded. */
export interface LoadOptions {
  /** Libraries that the plugin needs. Those that cannot be loaded are left out. */
  readonly before?: readonly string[]
}

/** XLA writes its log to the standard error. What it says of errors is in our exceptions, too. */
const ONLY_FATAL = '3'

/** Sets a variable that the user has not set. In a worker, native code does not see what `process.env` is given. */
function setVariable(koffi: Koffi, name: string, value: string): void {
  const setenv = koffi.load(null).func('setenv', 'int', ['str', 'str', 'int'])
  setenv(name, value, 0)
}

/**
 * Keeps a library in memory until the process ends. koffi unloads its libraries before that, and the functions that the
 * plugin has registered for the end of the process would be gone when they are called.
 */
function keepLoaded(koffi: Koffi, path: string): void {
  const dlopen = koffi.load(null).func('dlopen', 'void *', ['str', 'int'])
  const noDelete = process.platform === 'darwin' ? 0x80 : 0x1000
  dlopen(path, RTLD_NOW | noDelete)
}
const RTLD_NOW = 2

function attempt(body: () => void): void {
  try {
    body()
  } catch {
    // The plugin says what it misses when it is loaded.
  }
}

function checkVersion(path: string, { major, minor }: PjrtLibrary['version'], tableBytes: number): void {
  const last = Math.max(...Object.values(functions).map(({ slot }) => slot + 8))
  if (major !== headerVersion.major || minor < headerVersion.minor || tableBytes < last)
    throw new SwitchyardError(
      `the PJRT plugin ${path} has version ${major}.${minor} of the API, and Switchyard needs ${headerVersion.major}.` +
        `${headerVersion.minor} or newer (${headerVersion.major}.x): install another, or choose one with ` +
        'SWITCHYARD_PJRT_PLUGIN',
    )
}

const readers: { readonly [K in FieldKind]: (memory: DataView, offset: number) => Pointer | number | boolean } = {
  pointer: (memory, offset) => memory.getBigUint64(offset, true),
  size: (memory, offset) => Number(memory.getBigUint64(offset, true)),
  int64: (memory, offset) => Number(memory.getBigInt64(offset, true)),
  int32: (memory, offset) => memory.getInt32(offset, true),
  float: (memory, offset) => memory.getFloat32(offset, true),
  bool: (memory, offset) => memory.getUint8(offset) !== 0,
}
