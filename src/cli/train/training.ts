import { basename, join } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import { runsFolder } from '../../checkpoint/run-folder.js'
import { overrideNewRun } from '../../config/overrides.js'
import { fittedConfig } from '../../config/fitted-config.js'
import type { NamedRun, UserValues } from '../../config/user-values.js'
import { pairsTask } from '../../data/tasks/pairs.js'
import { Trainer } from '../../train/trainer.js'
import { resumeRun } from './resuming.js'
import { isConfigFile } from '../shared/config-file.js'
import { pairsFromOptions } from '../shared/pairs-from-options.js'
import type { DataOptions } from '../shared/data-options.js'
import { checkOverrides } from '../shared/early-checks.js'
import { findRun } from '../shared/find-run.js'
import { openDevices } from '../shared/mesh.js'
import { checkOut, enterFolder, printSettings, runToEnd } from '../shared/running.js'
import type { Run } from '../shared/running.js'
import { warnOfUnknownTexts } from '../shared/unknown-texts.js'
import { loadUserValues } from '../shared/user-config.js'

export interface TrainOptions extends DataOptions {
  set: string[]
  /** A recipe or a task, as the argument. */
  task?: string
  resume?: string | true
  out?: string
  printConfig?: true
  debugNans?: true
}

/**
 * Trains by a recipe, on pairs of texts, or from a checkpoint; then evaluates, and prints commands to continue with.
 */
export async function train(named: string | undefined, options: TrainOptions): Promise<void> {
  const { data, out, resume, task } = options
  if (named !== undefined && task !== undefined)
    throw new ConfigError(
      `give one name, ${named} or --task ${task}: train ${task} and train --task ${task} are the same`,
    )
  const recipe = named ?? task
  if (resume !== undefined && (recipe !== undefined || data !== undefined || out !== undefined))
    throw new ConfigError('--resume takes the recipe, the data and the folder from the run itself: leave them out')
  if (options.debugNans && resume === undefined)
    throw new ConfigError('--debug-nans examines a run whose loss became NaN: give it with --resume')
  const run = resume === undefined ? await begin(recipe, options) : await resumeRun(resume, options)
  if (run !== undefined) await runToEnd(run)
}

/** Begins a run by a recipe or on a file of pairs. Returns undefined with --print-config. */
async function begin(recipe: string | undefined, options: TrainOptions): Promise<Run | undefined> {
  const { data, set, out, printConfig } = options
  const known = await loadUserValues()
  if ((recipe === undefined) === (data === undefined)) {
    throw new ConfigError(
      `give a recipe or a task (${known.runNames.join(', ')}), the JSON file of a configuration, or --data with a file of your own${data === undefined ? '' : ', not both'}`,
    )
  }
  await checkOut(out)
  const { config, values } = data === undefined ? await byName(known, recipe!, set) : await onData(data, options)
  if (printConfig) return printSettings(config)
  await openDevices(config)
  const trainer = await Trainer.begin(config, { ...known.hooks, ...values })
  const wanted = out ?? join(runsFolder, recipe === undefined ? trainer.task.name : basename(recipe, '.json'))
  const base = recipe === undefined ? 'train --data' : isConfigFile(recipe) ? recipe : `recipe ${recipe}`
  const entered = await enterFolder(trainer, wanted, { base, data, set }, values)
  // A built-in recipe's vocabulary is made for its data.
  if (data === undefined && values.task !== undefined) warnOfUnknownTexts(values.task, 'task')
  return entered
}

async function byName(known: UserValues, name: string, set: readonly string[]): Promise<NamedRun> {
  if (known.isTask(name)) checkOverrides(set)
  const { config, values } = await findRun(known, name, 'train')
  return { config: overrideNewRun(config, set), values }
}

async function onData(data: string, options: TrainOptions): Promise<NamedRun> {
  const { settings, others } = pairsFromOptions(data, options, options.set)
  checkOverrides(others)
  const task = await pairsTask(settings)
  return { config: overrideNewRun(fittedConfig(task), others), values: { task } }
}
