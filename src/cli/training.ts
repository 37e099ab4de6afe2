import { readdir, rmdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ConfigError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { nextFreeFolder } from '../checkpoint/atomic.js'
import { latestCheckpoint, listCheckpoints } from '../checkpoint/native.js'
import type { Checkpoint } from '../checkpoint/native.js'
import { RunLock } from '../checkpoint/run-lock.js'
import { overrideConfig } from '../config/overrides.js'
import { pairsConfig } from '../config/pairs.js'
import { recipeOf, recipes } from '../config/recipes.js'
import { parseRunConfig } from '../config/validate.js'
import { pairsTask } from '../data/tasks/pairs.js'
import { countActiveParameters, countParameters, declareParameters } from '../model/parameters.js'
import { environmentWarning, findCheckpoint, openCheckpoint } from '../train/checkpointing.js'
import type { RunConfig } from '../train/config.js'
import { evaluate } from '../train/evaluate.js'
import { removeRunFiles } from '../train/run-files.js'
import { readRunStart } from '../train/run-start.js'
import type { RunStart } from '../train/run-start.js'
import { Trainer } from '../train/trainer.js'
import { Exit } from './exit.js'
import { onInterrupt } from './interrupt.js'
import { invocation } from './invocation.js'
import { showProgress, watchPredictions } from './progress.js'
import { countExamples, formatSamples, formatScores } from './report.js'

export interface TrainOptions {
  data?: string
  set: string[]
  resume?: string | true
  out?: string
  printConfig?: true
}

interface Run {
  readonly trainer: Trainer
  readonly folder: string
  readonly lock: RunLock
}

/**
 * Trains by a recipe, on pairs of texts, or from a checkpoint; then evaluates, and prints commands to continue with.
 */
export async function train(recipe: string | undefined, options: TrainOptions): Promise<void> {
  const run = options.resume === undefined ? await begin(recipe, options) : await resumeRun(recipe, options)
  if (run === undefined) return
  const { trainer, folder, lock } = run
  if (trainer.skippedExamples > 0)
    console.log(
      `${countExamples(trainer.skippedExamples, trainer.task)} longer than a row left out; train.inputLength and train.targetLength set its size`,
    )

  const interruption = onInterrupt(() => console.log('\nfinishing the step and saving; Ctrl-C again quits at once'))
  const progress = showProgress(trainer.config.train.steps, trainer.task.units.many)
  let ended: 'finished' | 'interrupted'
  try {
    ended = await trainer.run(folder, { signal: interruption.signal, onProgress: progress.show, lock })
  } catch (error) {
    await removeUnused(folder, lock)
    throw error
  } finally {
    await lock.release()
    progress.stop()
    interruption.stop()
  }
  if (ended === 'interrupted') {
    console.log(`saved step ${trainer.step} in ${folder}; to resume:\n\n    ${invocation()} train --resume ${folder}`)
    throw new Exit(130)
  }
  await conclude(run)
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
  if (out !== undefined && (await isFile(out)))
    throw new ConfigError(`--out ${out}: this is a file, but a run needs a folder: choose another name`)
  const pairs = data === undefined ? undefined : await pairsTask(data)
  const config = overrideConfig(pairs && data !== undefined ? pairsConfig(pairs, data) : recipeOf(recipe!), set)
  if (printConfig) return printSettings(config)
  const trainer = await Trainer.begin(config, { task: pairs })
  const wanted = out ?? join('runs', recipe ?? trainer.task.name)
  const folder = await nextFreeFolder(wanted)
  const lock = await RunLock.acquire(folder)
  console.log(
    basename(folder) === basename(wanted) ? `training in ${folder}` : `${wanted} exists already; training in ${folder}`,
  )
  describeRun(trainer)
  return { trainer, folder, lock }
}

/** Resumes a run from its latest checkpoint. Returns undefined with --print-config, or if the run is finished. */
async function resumeRun(
  recipe: string | undefined,
  { data, set, out, resume, printConfig }: TrainOptions,
): Promise<Run | undefined> {
  if (recipe !== undefined || data !== undefined || out !== undefined) {
    throw new ConfigError('--resume takes the recipe, the data and the folder from the run itself: leave them out')
  }
  const given = resume === true ? await latestRun() : resume!
  const start = await readRunStart(given)
  if (start !== undefined && (await latestCheckpoint(given)) === undefined)
    return beginAgain(given, start, { set, printConfig })
  const folder = dirname(await findCheckpoint(given))
  // Locked before the checkpoint is read: a process that is training here may replace it at any moment.
  const lock = printConfig ? undefined : await RunLock.acquire(folder)
  let run: Run | undefined
  try {
    const checkpoint = await openCheckpoint(given)
    try {
      const config = overrideConfig(parseRunConfig(checkpoint.config, `the configuration in ${checkpoint.folder}`), set)
      if (lock === undefined) return printSettings(config)
      if (checkpoint.step >= config.train.steps) return alreadyFinished(checkpoint, config)
      const trainer = await Trainer.resume(config, checkpoint)
      console.log(`resuming ${folder} from step ${checkpoint.step} of ${config.train.steps}`)
      const warning = await environmentWarning(checkpoint)
      if (warning !== undefined) console.error(`warning: ${warning}`)
      return (run = { trainer, folder, lock })
    } finally {
      await checkpoint.close()
    }
  } finally {
    if (run === undefined) await lock?.release()
  }
}

/** Restarts a run that was stopped before its first checkpoint. Returns undefined with --print-config. */
async function beginAgain(
  folder: string,
  start: RunStart,
  { set, printConfig }: Pick<TrainOptions, 'set' | 'printConfig'>,
): Promise<Run | undefined> {
  const config = overrideConfig(parseRunConfig(start.config, `the configuration in ${folder}`), set)
  if (printConfig) return printSettings(config)
  const lock = await RunLock.acquire(folder)
  try {
    const trainer = await Trainer.begin(config)
    console.log(`${folder} was stopped before its first checkpoint: beginning again from step 0`)
    return { trainer, folder, lock }
  } catch (error) {
    await lock.release()
    throw error
  }
}

function printSettings(config: RunConfig): undefined {
  console.log(JSON.stringify(config, null, 2))
}

/** Prints that the run is finished. Throws a ConfigError if the run has done more steps than `train.steps`. */
function alreadyFinished({ folder, step }: Pick<Checkpoint, 'folder' | 'step'>, { train }: RunConfig): undefined {
  const run = shellWord(join(folder, '..'))
  if (step > train.steps) {
    throw new ConfigError(
      `train.steps is ${train.steps}, but ${folder} is already at step ${step}: --set train.steps=${2 * step} continues`,
    )
  }
  console.log(`${run}: already finished at step ${step}; --set train.steps=${2 * step} continues:\n
    ${invocation()} train --resume ${run} --set train.steps=${2 * step}
    ${invocation()} eval ${run}`)
  return undefined
}

/**
 * Removes the folder of a run that failed before its first checkpoint, unless it holds files that Switchyard did not
 * write.
 */
async function removeUnused(folder: string, lock: RunLock): Promise<void> {
  const checkpoints = await listCheckpoints(folder).catch(() => undefined)
  if (checkpoints?.length !== 0) return
  await removeRunFiles(folder).catch(() => undefined)
  await lock.release()
  await rmdir(folder).catch(() => undefined)
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    found => found.isFile(),
    () => false,
  )

/** The run under runs/ with the newest checkpoint, or the newest folder for runs that have no checkpoint yet. */
async function latestRun(): Promise<string> {
  const names = await readdir('runs').catch(() => [])
  const runs = await Promise.all(
    names.map(async name => {
      const folder = join('runs', name)
      const latest = await latestCheckpoint(folder).catch(() => undefined)
      if (latest === undefined && (await readRunStart(folder).catch(() => undefined)) === undefined) return []
      return { folder, at: (await stat(latest ?? folder)).mtimeMs }
    }),
  )
  const [latest] = runs.flat().sort((a, b) => b.at - a.at)
  if (latest === undefined)
    throw new ConfigError('there is no run with a checkpoint under runs/: give its folder, as in --resume runs/g2p')
  return latest.folder
}

/** Prints the sizes of the data and the model. */
function describeRun({ task, config: { model, router, train } }: Trainer): void {
  const specs = declareParameters(model, router)
  const examples = task.split('train')
  const inputs = new Set(examples.map(example => example.input)).size
  // For a data set that repeats its inputs, the number of examples alone would overstate its size.
  const repeated = inputs < examples.length / 2
  console.log(
    `${task.name}: ${countExamples(examples.length, task)} to learn from${repeated ? `, with only ${formatCount(inputs)} different ${inputs === 1 ? 'input' : 'inputs'}` : ''}; ` +
      `${formatCount(countParameters(specs))} parameters, ${formatCount(countActiveParameters(specs))} used per token; ${formatCount(train.steps)} steps`,
  )
}

/** Evaluates the trained model, and prints commands to use it. */
async function conclude({ trainer, folder }: Run): Promise<void> {
  const { config, task } = trainer
  const result = await watchPredictions(task.units.many, onProgress =>
    evaluate(trainer.params, config, task, { split: 'test', limit: config.train.evalExamples, onProgress }),
  )
  const evaluated = result.total > 0
  console.log(
    evaluated
      ? `\nheld-out ${task.units.many}:\n\n${formatSamples(result, 12)}\n\n${formatScores(result, task)}`
      : '\nno example fell into the held-out split, so there is nothing to evaluate on',
  )
  const name = shellWord(folder)
  const { inputs, train: larger = `train --resume ${name} --set train.steps=${4 * config.train.steps}` } =
    task.suggestions
  const commands = [`infer ${name} ${inputs.map(shellWord).join(' ')}`, ...(evaluated ? [`eval ${name}`] : []), larger]
  console.log(
    `\nsaved in ${folder}. What to do next:\n\n${commands.map(command => `    ${invocation()} ${command}`).join('\n')}`,
  )
}

/** An argument as it is typed in a shell: quoted if necessary. */
const shellWord = (text: string): string => (/^[\w./:\\-]+$/.test(text) ? text : JSON.stringify(text))
