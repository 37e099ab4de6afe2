import { basename } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import { nearest } from '../../base/suggest.js'
import { freeMemory } from '../../checkpoint/free-memory.js'
import { isFile } from '../../checkpoint/files.js'
import { overrideConfig } from '../../config/overrides.js'
import { pretraining, publishedRecipe } from '../../config/recipes/published.js'
import { countParameters, declareParameters } from '../../model/parameters.js'
import { presets } from '../../model/presets.js'
import { openWeights } from '../../open/open-weights.js'
import { cpuDevice, deviceNamed, withOverrides } from '../../plan/devices.js'
import type { Device, DeviceOverrides } from '../../plan/devices.js'
import { planMesh, planTraining } from '../../plan/search.js'
import type { RunConfig } from '../../train/config.js'
import { peakFlopsPerSecond } from '../../train/machine-peak.js'
import { devicesIn, formatMesh } from '../../train/parallel/mesh-config.js'
import type { MeshConfig } from '../../train/parallel/mesh-config.js'
import { readRunStart } from '../../train/run-start.js'
import { readConfigFile } from '../shared/config-file.js'
import { configOfRun, isRunPath, recipeNamed } from '../shared/find-config.js'
import { isOnHub } from '../shared/find-folder.js'
import { findUserValues } from '../shared/user-config.js'
import { describeMesh, describePlan } from './description.js'
import type { PlannedTraining } from './description.js'

export interface PlanOptions extends DeviceOverrides {
  /** Default: those of the mesh, or 1. */
  devices?: number
  mesh?: MeshConfig
  device: string
  set: string[]
  json?: boolean
}

/** The plan of a training as text, or as JSON. Throws a SwitchyardError if nothing fits. */
export async function plan(name: string, options: PlanOptions): Promise<string> {
  const { config, note } = await findTraining(name)
  const changed = overrideConfig(config, options.set)
  const { mesh: configured } = changed.train
  const devices = deviceCount(options, configured)
  const device = withOverrides(await deviceOf(options.device, devices), options)
  const training = { name, config: changed, devices, device, note }
  if (options.mesh !== undefined) {
    const planned = planMesh(changed, options.mesh, device)
    return options.json ? asJson(training, planned) : describeMesh(training, planned)
  }
  const found = planTraining(changed, devices, device)
  const own = configured === null ? undefined : planMesh(changed, configured, device)
  return options.json ? asJson(training, { ...found, configured: own }) : describePlan(training, found, own)
}

/** How many devices to plan for. Throws a ConfigError if the mesh has another number of them. */
function deviceCount({ devices, mesh }: PlanOptions, configured: MeshConfig | null): number {
  if (mesh !== undefined && devices !== undefined && devices !== devicesIn(mesh))
    throw new ConfigError(
      `--mesh ${formatMesh(mesh)} has ${devicesIn(mesh)} devices, and --devices is ${devices}: leave --devices out, or change one of them`,
    )
  const known = mesh ?? configured
  return devices ?? (known === null ? 1 : devicesIn(known))
}

function asJson({ name, config, devices, device }: PlannedTraining, plans: object): string {
  const { task: _, ...settings } = config
  const parameters = countParameters(declareParameters(config.model, config.router))
  return JSON.stringify({ name, parameters, devices, device, ...plans, config: settings }, null, 2)
}

const deviceOf = async (name: string, devices: number): Promise<Device> =>
  name.toLowerCase() === 'cpu' ? cpuDevice(devices, await peakFlopsPerSecond(), freeMemory()) : deviceNamed(name)

/** Rows of a batch of 2^20 input tokens, with which Switch Transformers and T5 1.1 were pretrained. */
const PUBLISHED_ROWS = 2048

/**
 * The training that a name means, and where its settings are from. Of a preset or a folder with a model alone, it is
 * the published pretraining with a batch of 2^20 tokens.
 */
async function findTraining(name: string): Promise<{ config: RunConfig; note: string }> {
  const published = ({ model, router }: Pick<RunConfig, 'model' | 'router'>): { config: RunConfig; note: string } => {
    const config = pretraining('switch-base-8')
    return {
      config: { ...config, model, router, train: { ...config.train, rows: PUBLISHED_ROWS } },
      note: 'as in pretraining; --set changes that',
    }
  }
  const preset = presets.get(name)
  if (preset !== undefined) return published(preset)
  const recipe = publishedRecipe(name)
  if (recipe !== undefined) return { config: recipe, note: `the settings of ${name}` }
  if (await isFile(name)) return { config: await readConfigFile(name), note: `the settings in ${name}` }
  if (!(await isRunPath(name))) {
    const similar = nearest(name, [...presets.keys()])
    if (similar !== undefined) throw new ConfigError(`there is no preset or recipe ${name}; did you mean ${similar}?`)
    try {
      return { config: await recipeNamed(name, 'plan'), note: `the settings of ${name}` }
    } catch (error) {
      // The error of a recipe that exists is about its settings.
      if (!(error instanceof ConfigError) || (await findUserValues()).runNames.includes(name)) throw error
      throw new ConfigError(`${error.message} The presets are ${[...presets.keys()].join(', ')}.`, { cause: error })
    }
  }
  if (await isOnHub(name)) {
    const preset = nearest(basename(name), [...presets.keys()])
    throw new ConfigError(
      `${name}: plan fetches nothing from the hub: give a preset, a recipe, a run, a folder with a model or a configuration's file` +
        (preset === undefined ? '' : `; did you mean ${preset}?`),
    )
  }
  if ((await readRunStart(name)) !== undefined)
    return { config: await configOfRun(name), note: `the settings of the run ${name}` }
  const weights = await openWeights(name)
  await weights.close()
  return weights.run ? { config: weights.run.config, note: `the settings of the run ${name}` } : published(weights)
}
