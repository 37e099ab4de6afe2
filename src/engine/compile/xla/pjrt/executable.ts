import type { PjrtPlatform, Pointer } from './library.js'
import { structs } from './table.js'

/** A compiled program. */
export class PjrtExecutable {
  readonly numOutputs: number
  private readonly options: DataView

  constructor(
    private readonly client: PjrtPlatform,
    private readonly pointer: Pointer,
  ) {
    const { library } = client
    const executable = this.unloaded()
    try {
      this.numOutputs = library.call('Executable_NumOutputs', { executable })('num_outputs')
    } finally {
      library.call('Executable_Destroy', { executable })
    }
    this.options = library.struct(structs.ExecuteOptions, {})
  }

  /**
   * Starts a run on each of `inputs.length` devices. `inputs` and the result have one list of buffers for each device.
   * Returns before the results are computed. Buffers that the program takes as donated are deleted.
   */
  execute(inputs: readonly (readonly Pointer[])[]): Pointer[][] {
    const { library } = this.client
    const devices = inputs.length
    const argumentLists = inputs.map(list => BigUint64Array.from(list))
    const outputLists = inputs.map(() => new BigUint64Array(Math.max(1, this.numOutputs)))
    const addresses = (lists: readonly BigUint64Array[]): BigUint64Array =>
      BigUint64Array.from(lists, list => library.addressOf(list))
    library.call('LoadedExecutable_Execute', {
      executable: this.pointer,
      options: this.options,
      argument_lists: addresses(argumentLists),
      num_devices: devices,
      num_args: inputs[0].length,
      output_lists: addresses(outputLists),
    })
    return outputLists.map(list => [...list.subarray(0, this.numOutputs)])
  }

  /** The executable as bytes, which the same version of the plugin loads without compiling. */
  serialize(): Uint8Array {
    const { library } = this.client
    const executable = this.unloaded()
    try {
      const out = library.call('Executable_Serialize', { executable })
      const bytes = new Uint8Array(library.view(out('serialized_bytes'), out('serialized_bytes_size'))).slice()
      library.release(out('serialized_executable_deleter'), out('serialized_executable'))
      return bytes
    } finally {
      library.call('Executable_Destroy', { executable })
    }
  }

  destroy(): void {
    this.client.library.call('LoadedExecutable_Destroy', { executable: this.pointer })
  }

  private unloaded(): Pointer {
    return this.client.library.call('LoadedExecutable_GetExecutable', { loaded_executable: this.pointer })('executable')
  }
}
