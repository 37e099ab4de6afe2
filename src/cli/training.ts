import { join } from 'node:path'
import { ConfigError } from '../base/errors.js'
import { overrideConfig } from '../config/overrides.js'
import { pairsConfig } from '../config/pairs.js'
import { recipeOf, recipes } from '../config/recipes.js'
import type { Task } from '../data/task.js'
import { pairsTask } from '../data/tasks/pairs.js'
import type { RunConfig } from '../train/config.js'
import { Trainer } from '../train/trainer.js'
import { resumeRun } from './resuming.js'
import { pairsFromOptions } from './data-options.js'
import type { DataOptions } from './data-options.js'
import { checkOut, enterFolder, printSettings, runToEnd } from './running.js'
import type { Run } from './running.js'

export interface TrainOptions extends DataOptions {
  set: string[]
  resume?: string | true
  out?: string
  printConfig?: true
  debugNans?: true
}

/**
 * Trains by a recipe, on pairs of texts, or from a checkpoint; then evaluates, and prints commands to continue with.
 */
export async function train(recipe: string | undefined, options: TrainOptions): Promise<void> {
  const { data, out, resume } = options
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
  if ((recipe === undefined) === (data === undefined)) {
    throw new ConfigError(
      `give a recipe (${Object.keys(recipes).join(', ')}), or --data with a file of your own${data === undefined ? '' : ', not both'}`,
    )
  }
  await checkOut(out)
  const { task, config } = data === undefined ? byRecipe(recipe!, set) : await onData(data, options)
  if (printConfig) return printSettings(config)
  const trainer = await Trainer.begin(config, { task })
  return enterFolder(trainer, out ?? join('runs', recipe ?? trainer.task.name))
}

const byRecipe = (recipe: string, set: readonly string[]): { task?: Task; config: RunConfig } => ({
  config: overrideConfig(recipeOf(recipe), set),
})

async function onData(data: string, options: TrainOptions): Promise<{ task?: Task; config: RunConfig }> {
  const { settings, others } = pairsFromOptions(data, options, options.set)
  const task = await pairsTask(settings)
  return { task, config: overrideConfig(pairsConfig(task), others) }
}
