import { ConfigError } from '../../base/errors.js'
import type { Backend } from '../compile/backend.js'
import { referenceBackend } from '../compile/reference/backend.js'
import type { ProcessesBackend } from '../compile/processes/backend.js'
import type { XlaOptions } from '../compile/xla/options.js'
import { readOptions } from './arguments.js'
import { onnxBackend } from './engine.js'

const backendNames = ['onnx', 'xla', 'reference'] as const
export type BackendName = (typeof backendNames)[number]

const xlaOptions = ['plugin', 'platform', 'cpuDevices', 'memoryFraction', 'preallocate', 'cache'] as const

/**
 * Makes a backend: `setBackend(await openBackend('xla'))`.
 *
 * - `onnx`: ONNX Runtime on the processor, the default
 * - `xla`: XLA, by a PJRT plugin (a shared library), on processors, GPUs or TPUs; in Node only
 * - `reference`: the interpreter, which is slow
 *
 * Throws a SwitchyardError that says how to install what is missing, or which option is wrong. `options`: of XLA.
 */
export async function openBackend(name: BackendName, options: XlaOptions = {}): Promise<Backend> {
  const given = Object.keys(readOptions('openBackend', options, xlaOptions))
  if (name !== 'xla' && given.length > 0 && backendNames.includes(name))
    throw new ConfigError(`the backend ${name} has no options: ${given.join(', ')} can be given for xla alone`)
  if (name === 'onnx') return onnxBackend()
  if (name === 'reference') return referenceBackend
  if (name === 'xla') return (await import('#pjrt')).openXla(options)
  throw new ConfigError(`there is no backend ${JSON.stringify(name)}: choose one of ${backendNames.join(', ')}`)
}

/**
 * Makes the backend of this process as one of a job's, each of which is a device of a mesh:
 * `setBackend(await joinProcesses())`. The processes are started by `mpiexec`, SLURM or `switchyard launch`, and run
 * the same program. `inner` computes on each process; by default, ONNX Runtime with its share of the processors. Call
 * `backend.processes.leave()` at the end.
 *
 * Throws a SwitchyardError that says how to install MPICH, if it is missing.
 */
export const joinProcesses = async (inner?: Backend): Promise<ProcessesBackend> =>
  (await import('#mpi')).joinProcesses(inner)
