import { PjrtError } from './library.js'
import type { PjrtPlatform } from './library.js'
import type { Pointer } from './struct.js'
import { structs } from './table.js'

/** The memory in which buffers are listed for a run, one list for each device, kept between runs. */
interface Lists {
  readonly inputs: readonly BigUint64Array[]
  readonly outputs: readonly BigUint64Array[]
  /** Calls PJRT with these lists. */
  readonly run: () => void
}

/** An array, by its parts on each device. */
interface DeviceParts {
  readonly parts: readonly { readonly pointer: Pointer }[]
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
   * Starts a run on `devices` devices: each takes one part of each input. Returns a list of buffers for each device,
   * valid until the next run, before the results are computed. Buffers that the program takes as donated are deleted.
   */
  execute(inputs: readonly DeviceParts[], devices: number): readonly BigUint64Array[] {
    const lists = this.listsFor(devices, inputs.length)
    for (let i = 0; i < inputs.length; i++) {
      const { parts } = inputs[i]
      for (let device = 0; device < devices; device++) lists.inputs[device][i] = parts[device].pointer
    }
    lists.run()
    return lists.outputs
  }

  private listsFor(devices: number, inputs: number): Lists {
    const { lists } = this
    if (lists?.inputs.length === devices) return lists
    const { library } = this.platform
    const listsOf = (length: number): BigUint64Array[] =>
      Array.from({ length: devices }, () => new BigUint64Array(Math.max(1, length)))
    const addresses = (all: readonly BigUint64Array[]): BigUint64Array =>
      BigUint64Array.from(all, list => library.addressOf(list))
    const made = { inputs: listsOf(inputs), outputs: listsOf(this.numOutputs) }
    const run = library.prepared('LoadedExecutable_Execute', {
      executable: this.pointer,
      options: this.options,
      argument_lists: addresses(made.inputs),
      num_devices: devices,
      num_args: inputs,
      output_lists: addresses(made.outputs),
    })
    return (this.lists = { ...made, run })
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
