import { ConfigError } from '../../../base/errors.js'
import type { XlaOptions } from './options.js'
import { PjrtClient } from './pjrt/client.js'
import { PjrtError } from './pjrt/library.js'
import type { PjrtLibrary } from './pjrt/library.js'
import type { NamedValue } from './pjrt/named-values.js'

/** A processor is divided into devices for tests and trials. Each has threads of its own, and XLA checks no bound. */
const MAX_CPU_DEVICES = 256

/**
 * Makes a plugin's client. Plugins take different options and refuse those of others, and only this tells the plugin
 * for processors from one for GPUs before there is a client.
 */
export async function createClient(library: PjrtLibrary, options: XlaOptions): Promise<PjrtClient> {
  const ofGpu = gpuOptions(options)
  const { cpuDevices = 1 } = options
  if (!(Number.isInteger(cpuDevices) && cpuDevices >= 1 && cpuDevices <= MAX_CPU_DEVICES))
    throw new ConfigError(
      `XLA divides a processor into 1 to ${MAX_CPU_DEVICES} devices, and ${cpuDevices} were asked for (cpuDevices, or a mesh): give a whole number in that range`,
    )
  try {
    return await PjrtClient.create(library, { cpu_device_count: cpuDevices })
  } catch (error) {
    if (!(error instanceof PjrtError && error.message.includes('Unexpected option name'))) throw error
    return PjrtClient.create(library, ofGpu)
  }
}

/** The options of the CUDA plugin. Throws a ConfigError for a share that is none. */
export function gpuOptions(
  { memoryFraction, preallocate }: Pick<XlaOptions, 'memoryFraction' | 'preallocate'>,
  env: NodeJS.ProcessEnv = process.env,
): { [name: string]: NamedValue } {
  const fractionText = env.XLA_CLIENT_MEM_FRACTION || env.XLA_PYTHON_CLIENT_MEM_FRACTION
  const fraction = memoryFraction ?? (fractionText ? Number(fractionText) : undefined)
  if (fraction !== undefined && !(fraction > 0 && fraction <= 1))
    throw new ConfigError(
      `the share of a GPU's memory is ${memoryFraction ?? JSON.stringify(fractionText)}: it must be above 0 and at most 1`,
    )
  const preallocateText = env.XLA_PYTHON_CLIENT_PREALLOCATE
  const isPreallocated =
    preallocate ?? (preallocateText ? !['false', '0'].includes(preallocateText.toLowerCase()) : undefined)
  return {
    ...(fraction === undefined ? {} : { memory_fraction: { float: fraction } }),
    ...(isPreallocated === undefined ? {} : { preallocate: isPreallocated }),
  }
}
