import type { Command } from 'commander'
import { ConfigError } from '../../base/errors.js'
import type { RunConfig } from '../../train/config.js'
import { devicesIn, formatMesh, meshOfRun } from '../../train/parallel/mesh-config.js'
import { computeWithXla } from './backend.js'

/** Adds `--mesh` to a command that trains: the same as `--set train.mesh=...`. */
export const withMeshOption = (command: Command): Command =>
  command
    .option(
      '--mesh <axes>',
      'train on several devices (with --backend xla, or as several processes with launch), such as data=2,expert=2: the batch is divided over data and expert, experts over expert, heads and hidden layers over tensor',
    )
    .hook('preAction', (_, action) => {
      const { mesh, set } = action.opts<{ mesh?: string; set: readonly string[] }>()
      if (mesh !== undefined) action.setOptionValue('set', [...set, `train.mesh=${mesh}`])
    })

/**
 * Gives the default backend the devices of a run's mesh: XLA divides a processor into as many. Throws a ConfigError if
 * the mesh does not divide the model and the batch, if another backend, a GPU or a TPU has too few devices, or if a job
 * has not as many processes.
 */
export async function openDevices(config: Pick<RunConfig, 'model' | 'train'>): Promise<void> {
  meshOfRun(config)
  const { mesh } = config.train
  const { defaultEngine } = await import('../../engine/api/engine.js')
  const { backend } = defaultEngine()
  const { name, numDevices = 1, processes, hasOwnMemory } = backend
  const devices = mesh === null ? 1 : devicesIn(mesh)
  if (processes && devices !== processes.size)
    throw new ConfigError(
      `this job has ${processes.size} processes, and train.mesh is ${mesh === null ? 'not set' : formatMesh(mesh)}: ` +
        `make its sizes multiply to ${processes.size}, as in --mesh data=${processes.size}`,
    )
  if (mesh === null) return
  if (devices <= numDevices) return
  if (name !== 'xla')
    throw new ConfigError(
      `train.mesh ${formatMesh(mesh)} needs ${devices} devices, and the backend ${name} has one: add --backend xla, start as many processes (switchyard launch), or train on one device with --mesh data=1`,
    )
  if (hasOwnMemory)
    throw new ConfigError(
      `train.mesh ${formatMesh(mesh)} needs ${devices} devices, and this machine has ${numDevices} (${await backend.describe()}): ` +
        `make its sizes multiply to ${numDevices}, as in --mesh data=${numDevices}, or set SWITCHYARD_PJRT_PLUGIN to the plugin for processors, which are divided into as many devices`,
    )
  await computeWithXla({ cpuDevices: devices })
}
