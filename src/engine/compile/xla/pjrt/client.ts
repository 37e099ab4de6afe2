import type { DType } from '../../../../base/dtypes.js'
import type { HostTensor } from '../../../../base/host-tensor.js'
import { PjrtBuffer } from './buffer.js'
import { encodeCompileOptions } from './compile-options.js'
import type { CompileOptions } from './compile-options.js'
import { PjrtExecutable } from './executable.js'
import { PjrtError } from './library.js'
import type { PjrtLibrary, PjrtPlatform } from './library.js'
import type { Pointer } from './struct.js'
import { decodeNamedValues, encodeNamedValues } from './named-values.js'
import type { NamedValue } from './named-values.js'
import { bufferType, hostBufferSemantics, structs } from './table.js'

/** A device that the client's process can use. */
export interface PjrtDevice {
  readonly pointer: Pointer
  readonly id: number
  /** For example `cpu`, or the name of a GPU's model. */
  readonly kind: string
}

/** The devices of one platform, and what compiles for them. */
export class PjrtClient implements PjrtPlatform {
  private constructor(
    readonly library: PjrtLibrary,
    private readonly pointer: Pointer,
    /** `cpu`, `cuda`, `tpu` ... */
    readonly platform: string,
    readonly platformVersion: string,
    readonly devices: readonly PjrtDevice[],
    /** The plugin's attributes: versions of XLA and StableHLO. */
    readonly attributes: ReadonlyMap<string, NamedValue>,
  ) {}

  /** `options`: those of the platform, for example `cpu_device_count`. */
  static async create(library: PjrtLibrary, options: { readonly [name: string]: NamedValue }): Promise<PjrtClient> {
    const { memory, count, kept } = encodeNamedValues(library, options)
    // Initialization of a GPU takes seconds.
    const created = await library.callAsync('Client_Create', { create_options: memory, num_options: count }, kept)
    const client = created('client')
    const name = library.call('Client_PlatformName', { client })
    const version = library.call('Client_PlatformVersion', { client })
    const listed = library.call('Client_AddressableDevices', { client })
    const devices = library
      .pointers(listed('addressable_devices'), listed('num_addressable_devices'))
      .map(pointer => deviceOf(library, pointer))
    const attributes = library.call('Plugin_Attributes', {})
    return new PjrtClient(
      library,
      client,
      library.text(name('platform_name'), name('platform_name_size')),
      library.text(version('platform_version'), version('platform_version_size')),
      devices,
      decodeNamedValues(library, attributes('attributes'), attributes('num_attributes')),
    )
  }

  /** The plugin, its versions and the devices, for reports. */
  get description(): string {
    const { path, version } = this.library
    const plugin = path.split(/[\\/]/).slice(-2).join('/')
    const kinds = [...new Set(this.devices.map(device => device.kind))].join(', ')
    return `XLA (${plugin}, PJRT ${version.major}.${version.minor}), ${this.devices.length} x ${kinds}`
  }

  get isOnHost(): boolean {
    return this.platform === 'cpu'
  }

  /** Compiles StableHLO text, in another thread. */
  async compile(text: string, options: CompileOptions): Promise<PjrtExecutable> {
    const code = utf8.encode(text)
    const format = utf8.encode('mlir')
    const program = this.library.struct(structs.Program, {
      code,
      code_size: code.length,
      format,
      format_size: format.length,
    })
    const compile_options = encodeCompileOptions(options)
    const compiled = await this.library.callAsync(
      'Client_Compile',
      {
        client: this.pointer,
        program,
        compile_options,
        compile_options_size: compile_options.length,
      },
      [code, format],
    )
    return new PjrtExecutable(this, compiled('executable'))
  }

  /** Loads an executable that `PjrtExecutable.serialize` wrote, on the same platform and version. */
  async deserialize(bytes: Uint8Array): Promise<PjrtExecutable> {
    const loaded = await this.library.callAsync('Executable_DeserializeAndLoad', {
      client: this.pointer,
      serialized_executable: bytes,
      serialized_executable_size: bytes.length,
    })
    return new PjrtExecutable(this, loaded('loaded_executable'))
  }

  /**
   * Copies a tensor to a device. A device whose memory is the process's own may use the tensor's memory instead, if it
   * is aligned: do not write to it.
   */
  put(tensor: HostTensor, device: PjrtDevice = this.devices[0]): PjrtBuffer {
    const { library } = this
    const { dtype, shape, data } = tensor
    const isShared = this.isOnHost && data.byteLength > 0 && library.addressOf(data) % ALIGNMENT === 0n
    const dims = BigInt64Array.from(shape, BigInt)
    const out = library.call('Client_BufferFromHostBuffer', {
      client: this.pointer,
      data: data.byteLength > 0 ? data : nothing,
      type: elementTypes[dtype],
      dims,
      num_dims: shape.length,
      host_buffer_semantics: isShared
        ? hostBufferSemantics.ImmutableZeroCopy
        : hostBufferSemantics.ImmutableOnlyDuringCall,
      device: device.pointer,
    })
    const done = out('done_with_host_buffer')
    if (!isShared) library.call('Event_Destroy', { event: done })
    return new PjrtBuffer(this, out('buffer'), { dtype, shape }, isShared ? { data, done } : null)
  }

  /** The memory of a device; undefined if the plugin does not tell. */
  memoryOf({ pointer }: PjrtDevice): { usedBytes: number; limitBytes: number } | undefined {
    try {
      const stats = this.library.call('Device_MemoryStats', { device: pointer })
      if (!stats('bytes_limit_is_set')) return undefined
      return { usedBytes: stats('bytes_in_use'), limitBytes: stats('bytes_limit') }
    } catch (error) {
      if (error instanceof PjrtError) return undefined
      throw error
    }
  }

  /** Frees the client. All its buffers and executables must be freed before. */
  destroy(): void {
    this.library.call('Client_Destroy', { client: this.pointer })
  }
}

function deviceOf(library: PjrtLibrary, pointer: Pointer): PjrtDevice {
  const device_description = library.call('Device_GetDescription', { device: pointer })('device_description')
  const id = library.call('DeviceDescription_Id', { device_description })('id')
  const kind = library.call('DeviceDescription_Kind', { device_description })
  return { pointer, id, kind: library.text(kind('device_kind'), kind('device_kind_size')) }
}

/** XLA's CPU code uses memory in place only if it is aligned to this many bytes. */
const ALIGNMENT = 64n

/** What an array without elements points to. */
const nothing = new Uint8Array(8)

const utf8 = new TextEncoder()

const elementTypes: { readonly [D in DType]: number } = {
  float32: bufferType.F32,
  float16: bufferType.F16,
  bfloat16: bufferType.BF16,
  int32: bufferType.S32,
  uint32: bufferType.U32,
  int64: bufferType.S64,
  bool: bufferType.PRED,
  uint8: bufferType.U8,
  int8: bufferType.S8,
  uint16: bufferType.U16,
}
