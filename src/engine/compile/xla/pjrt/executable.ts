import { PjrtError } from './library.js'
import type { PjrtPlatform, Pointer } from './library.js'
import { structs } from './table.js'

/** The memory in which buffers are listed for a run, one list for each device, kept between runs. */
interface Lists {
  readonly inputs: readonly BigUint64Array[]
  readonly outputs: readonly BigUint64Array[]
  readonly inputAddresses: BigUint64Array
  readonly outputAddresses: BigUint64Array
}

/** A compiled program. */
export class PjrtExecutable {
  readonly numOutputs: number
  private readonly options: DataView
  private lists: Lists | undefined

  constructor(
    private readonly platform: PjrtPlatform,
    private readonly pointer: Pointer,
  ) {
    const { library } = platform
    this.numOutputs = this.asProgram(executable => library.call('Executable_NumOutputs', { executable })('num_outputs'))
    this.options = library.struct(structs.ExecuteOptions, {})
  }

  /**
   * Starts a run on each of `inputs.length` devices. `inputs` and the result have one list of buffers for each device.
   * Returns before the results are computed. Buffers that the program takes as donated are deleted.
   */
  execute(inputs: readonly (readonly Pointer[])[]): Pointer[][] {
    const { library } = this.platform
    const lists = this.listsFor(inputs.length, inputs[0].length)
    inputs.forEach((list, i) => lists.inputs[i].set(list))
    library.call('LoadedExecutable_Execute', {
      executable: this.pointer,
      options: this.options,
      argument_lists: lists.inputAddresses,
      num_devices: inputs.length,
      num_args: inputs[0].length,
      output_lists: lists.outputAddresses,
    })
    return lists.outputs.map(list => [...list].slice(0, this.numOutputs))
  }

  private listsFor(devices: number, inputs: number): Lists {
    const { lists } = this
    if (lists?.inputs.length === devices && lists.inputs[0].length >= inputs) return lists
    const { library } = this.platform
    const listsOf = (length: number): BigUint64Array[] =>
      Array.from({ length: devices }, () => new BigUint64Array(Math.max(1, length)))
    const addresses = (all: readonly BigUint64Array[]): BigUint64Array =>
      BigUint64Array.from(all, list => library.addressOf(list))
    const made = { inputs: listsOf(inputs), outputs: listsOf(this.numOutputs) }
    return (this.lists = {
      ...made,
      inputAddresses: addresses(made.inputs),
      outputAddresses: addresses(made.outputs),
    })
  }

  /** The bytes on each device that a run takes; undefined if the plugin does not tell. */
  memory(): { inputs: number; results: number; donated: number; intermediate: number } | undefined {
    try {
      return this.asProgram(executable => {
        const out = this.platform.library.call('Executable_GetCompiledMemoryStats', { executable })
        return {
          inputs: out('argument_size_in_bytes'),
          results: out('output_size_in_bytes'),
          donated: out('alias_size_in_bytes'),
          intermediate: out('temp_size_in_bytes'),
        }
      })
    } catch (error) {
      if (error instanceof PjrtError) return undefined
      throw error
    }
  }

  /** The executable as bytes, which the same version of the plugin loads without compiling. */
  serialize(): Uint8Array {
    const { library } = this.platform
    return this.asProgram(executable => {
      const out = library.call('Executable_Serialize', { executable })
      const bytes = new Uint8Array(library.view(out('serialized_bytes'), out('serialized_bytes_size'))).slice()
      library.release(out('serialized_executable_deleter'), out('serialized_executable'))
      return bytes
    })
  }

  destroy(): void {
    this.platform.library.call('LoadedExecutable_Destroy', { executable: this.pointer })
  }

  /** Calls `f` with the program apart from its devices, which some functions take. */
  private asProgram<T>(f: (executable: Pointer) => T): T {
    const { library } = this.platform
    const loaded = library.call('LoadedExecutable_GetExecutable', { loaded_executable: this.pointer })
    const executable = loaded('executable')
    try {
      return f(executable)
    } finally {
      library.call('Executable_Destroy', { executable })
    }
  }
}
