import { join } from 'node:path'
import { ConfigError } from '../base/errors.js'
import { overrideConfig } from '../config/overrides.js'
import { pairsConfig } from '../config/pairs.js'
import { recipeOf, recipes } from '../config/recipes.js'
import { pairsTask } from '../data/tasks/pairs.js'
import { Trainer } from '../train/trainer.js'
import { resumeRun } from './resuming.js'
import { checkOut, enterFolder, printSettings, runToEnd } from './running.js'
import type { Run } from './running.js'

export interface TrainOptions {
  data?: string
  set: string[]
  resume?: string | true
  out?: string
  printConfig?: true
}

/**
 * Trains by a recipe, on pairs of texts, or from a checkpoint; then evaluates, and prints commands to continue with.
 */
export async function train(recipe: string | undefined, options: TrainOptions): Promise<void> {
  const { data, out, resume } = options
  if (resume !== undefined && (recipe !== undefined || data !== undefined || out !== undefined))
    throw new ConfigError('--resume takes the recipe, the data and the folder from the run itself: leave them out')
  const run = resume === undefined ? await begin(recipe, options) : await resumeRun(resume, options)
  if (run !== undefined) await runToEnd(run)
}

/** Begins a run by a recipe or on a file of pairs. Returns undefined with --print-config. */
async function begin(
  recipe: string | undefined,
  { data, set, out, printConfig }: TrainOptions,
): Promise<Run | undefined> {
  if ((recipe === undefined) === (data === undefined)) {
    throw new ConfigError(
      `give a recipe (${Object.keys(recipes).join(', ')}), or --data with a file of your own${data === undefined ? '' : ', not both'}`,
    )
  }
  await checkOut(out)
  const pairs = data === undefined ? undefined : await pairsTask(data)
  const config = overrideConfig(pairs && data !== undefined ? pairsConfig(pairs, data) : recipeOf(recipe!), set)
  if (printConfig) return printSettings(config)
  const trainer = await Trainer.begin(config, { task: pairs })
  return enterFolder(trainer, out ?? join('runs', recipe ?? trainer.task.name))
}
