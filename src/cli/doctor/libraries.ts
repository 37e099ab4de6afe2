import { MpiLibrary } from '../../engine/compile/processes/mpi/library.js'
import { openXla } from '../../engine/compile/xla/node.js'
import { tryOut } from './trial.js'
import type { Trial } from './trial.js'

export interface Device {
  readonly kind: string
  readonly usedBytes?: number
  readonly limitBytes?: number
}

/** A backend that was tried out. */
export interface TriedBackend {
  readonly description: string
  readonly trial: Trial
  readonly devices?: readonly Device[]
  readonly stableHlo?: string
}

export interface TriedMpi {
  /** Its name and version. */
  readonly version: string
}

/** What `doctor` does with native libraries, by their kind. Each may end the process: see `inChild`. */
export const libraries = { xla: tryXla, mpi: tryMpi }
export type Libraries = typeof libraries

/** Runs a small program by a PJRT plugin. */
async function tryXla(plugin: string): Promise<TriedBackend> {
  // Without the cache, so that the compiler runs.
  const backend = await openXla({ plugin, cache: false, preallocate: false })
  const { client } = backend
  const stableHlo = client.attributes.get('stablehlo_current_version')
  const trial = await tryOut(backend)
  return {
    description: await backend.describe(),
    trial,
    devices: client.devices.map(device => ({ kind: device.kind, ...client.memoryOf(device) })),
    ...(Array.isArray(stableHlo) && { stableHlo: stableHlo.join('.') }),
  }
}

/** Loads an MPI library, and joins no job. */
async function tryMpi(path: string): Promise<TriedMpi> {
  return { version: (await MpiLibrary.load(path)).kind.version }
}
