import { ComputationError, SwitchyardError } from '../../../../base/errors.js'
import { Turns } from '../../../../base/turns.js'
import type { Koffi } from '../../koffi.js'
import { loadPlugin } from './load-plugin.js'
import type { ApiVersion, LoadOptions } from './load-plugin.js'
import { readerOf, writeStruct } from './struct.js'
import type { Layout, Pointer, Reader, Values } from './struct.js'
import { errorCode, functions } from './table.js'

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
    readonly version: ApiVersion,
  ) {}

  /** Loads a plugin and checks its version. A plugin stays loaded until the process ends. */
  static async load(path: string, options: LoadOptions = {}): Promise<PjrtLibrary> {
    const { koffi, api, version } = await loadPlugin(path, options)
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
    this.write(memory, functions[name], args)
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
    this.write(memory, layout, values)
    return memory
  }

  /** Reads the fields of a struct. */
  reader<L extends Layout>(memory: DataView, layout: L): Reader<L> {
    return readerOf(memory, layout)
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

  private write<L extends Layout>(memory: DataView, layout: L, values: Values<L>): void {
    writeStruct(memory, layout, values, lent => this.addressOf(lent))
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
