import { readFile } from 'node:fs/promises'
import { ConfigError, FileError } from '../../base/errors.js'
import { nearest } from '../../base/suggest.js'
import { freeMemory } from '../../checkpoint/free-memory.js'
import { isFile, withPath } from '../../checkpoint/files.js'
import { overrideConfig } from '../../config/overrides.js'
import { pretraining, publishedRecipe } from '../../config/recipes/published.js'
import { parseRunConfig } from '../../config/validate.js'
import { countParameters, declareParameters } from '../../model/parameters.js'
import { presets } from '../../model/presets.js'
import { openWeights } from '../../open/open-weights.js'
import { cpuDevice, deviceNamed, withOverrides } from '../../plan/devices.js'
import type { Device, DeviceOverrides } from '../../plan/devices.js'
import { planTraining } from '../../plan/search.js'
import type { RunConfig } from '../../train/config.js'
import { peakFlopsPerSecond } from '../../train/machine-peak.js'
import { readRunStart } from '../../train/run-start.js'
import { configOfRun, isRunPath, recipeNamed } from '../shared/find-config.js'
import { findUserValues } from '../shared/user-config.js'
import { describePlan } from './description.js'

export interface PlanOptions extends DeviceOverrides {
  devices: number
  device: string
  set: string[]
  json?: boolean
}

/** The plan of a training as text, or as JSON. Throws a SwitchyardError if nothing fits. */
export async function plan(name: string, options: PlanOptions): Promise<string> {
  const { config, note } = await findTraining(name)
  const changed = overrideConfig(config, options.set)
  const device = withOverrides(await deviceOf(options), options)
  const found = planTraining(changed, options.devices, device)
  if (options.json) {
    const { task: _, ...settings } = changed
    const parameters = countParameters(declareParameters(changed.model, changed.router))
    return JSON.stringify({ name, parameters, devices: options.devices, device, ...found, config: settings }, null, 2)
  }
  return describePlan(name, changed, options.devices, device, found, note)
}

const deviceOf = async ({ device, devices }: PlanOptions): Promise<Device> =>
  device === 'cpu' ? cpuDevice(devices, await peakFlopsPerSecond(), freeMemory()) : deviceNamed(device)

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
  if (await isFile(name)) return { config: await readConfig(name), note: `the settings in ${name}` }
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
  if ((await readRunStart(name)) !== undefined)
    return { config: await configOfRun(name), note: `the settings of the run ${name}` }
  const weights = await openWeights(name)
  await weights.close()
  return weights.run ? { config: weights.run.config, note: `the settings of the run ${name}` } : published(weights)
}

/** A run's configuration in a JSON file, alone or as `run.json` holds it. */
async function readConfig(path: string): Promise<RunConfig> {
  const text = await withPath(path, () => readFile(path, 'utf8'))
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new FileError(
      `${path}: this is not JSON (${(error as Error).message}): give the JSON file of a run's configuration`,
    )
  }
  const config = typeof value === 'object' && value !== null && 'config' in value ? value.config : value
  return parseRunConfig(config, `the configuration in ${path}`)
}
