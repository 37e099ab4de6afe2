import { rm, rmdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ConfigError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { nextFreeFolder } from '../checkpoint/atomic.js'
import { listCheckpoints } from '../checkpoint/native.js'
import type { Checkpoint } from '../checkpoint/native.js'
import { overrideConfig } from '../config/overrides.js'
import { pairsConfig } from '../config/pairs.js'
import { recipeOf, recipes } from '../config/recipes.js'
import type { RunConfig } from '../config/schema.js'
import { parseRunConfig } from '../config/validate.js'
import type { Task } from '../data/task.js'
import { g2pTask, loadTask, pairsTask } from '../data/tasks.js'
import { countActiveParameters, countParameters, declareParameters } from '../model/parameters.js'
import { environmentWarning, openCheckpoint, runsIn } from '../train/checkpointing.js'
import { evaluate } from '../train/evaluate.js'
import { MetricsLog } from '../train/metrics-log.js'
import { Trainer } from '../train/trainer.js'
import { Exit } from './exit.js'
import { onInterrupt } from './interrupt.js'
import { showProgress, watchPredictions } from './progress.js'
import { countExamples, formatRates, formatSamples, unitOf } from './report.js'

export interface TrainOptions {
  data?: string
  set: string[]
  resume?: string | true
  out?: string
  printConfig?: true
}

interface Run {
  readonly trainer: Trainer
  readonly config: RunConfig
  readonly task: Task
  readonly folder: string
}

/** Trains by a recipe, on pairs of texts, or on from a checkpoint; then evaluates and says what to do next. */
export async function train(recipe: string | undefined, options: TrainOptions): Promise<void> {
  const run = options.resume === undefined ? await begin(recipe, options) : await goOn(recipe, options)
  if (run === undefined) return
  const { trainer, config, task, folder } = run
  if (trainer.skippedExamples > 0)
    console.log(
      `${formatCount(trainer.skippedExamples)} examples are longer than a row and left out; train.inputLength and train.targetLength set it`,
    )

  const interruption = onInterrupt(() => console.log('\nfinishing the step and saving; Ctrl-C again quits at once'))
  const progress = showProgress(config.train.steps, unitOf(task))
  let ended: 'finished' | 'interrupted'
  try {
    ended = await trainer.run(folder, { signal: interruption.signal, onProgress: progress.show })
  } catch (error) {
    await removeUnused(folder)
    throw error
  } finally {
    progress.stop()
    interruption.stop()
  }
  if (ended === 'interrupted') {
    console.log(`saved step ${trainer.step} in ${folder}; to go on:\n\n    npx switchyard train --resume ${folder}`)
    throw new Exit(130)
  }
  await conclude(run)
}

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
    throw new ConfigError(`--out ${out}: this is a file, and a folder is to be made: choose another name`)
  const pairs = data === undefined ? undefined : await pairsTask(data)
  const config = overrideConfig(pairs && data !== undefined ? pairsConfig(pairs, data) : recipeOf(recipe!), set)
  if (printConfig) {
    console.log(JSON.stringify(config, null, 2))
    return undefined
  }
  const task = pairs ?? (await g2pTask())
  const trainer = Trainer.begin(config, task)
  const wanted = out ?? join('runs', recipe ?? task.name)
  const folder = await nextFreeFolder(wanted)
  console.log(
    basename(folder) === basename(wanted) ? `training in ${folder}` : `${wanted} exists already; training in ${folder}`,
  )
  describeRun(config, task)
  return { trainer, config, task, folder }
}

async function goOn(
  recipe: string | undefined,
  { data, set, out, resume, printConfig }: TrainOptions,
): Promise<Run | undefined> {
  if (recipe !== undefined || data !== undefined || out !== undefined) {
    throw new ConfigError('--resume takes recipe, data and folder from the run itself: leave the others out')
  }
  const given = resume === true ? await latestRun() : resume!
  const checkpoint = await openCheckpoint(given)
  try {
    const config = overrideConfig(parseRunConfig(checkpoint.config, `the configuration in ${checkpoint.folder}`), set)
    if (printConfig) {
      console.log(JSON.stringify(config, null, 2))
      return undefined
    }
    if (checkpoint.step >= config.train.steps) return alreadyFinished(checkpoint, config)
    const task = await loadTask(checkpoint.task)
    const trainer = await Trainer.resume(config, task, checkpoint)
    const folder = join(checkpoint.folder, '..')
    console.log(`going on in ${folder} from step ${checkpoint.step} of ${config.train.steps}`)
    const warning = await environmentWarning(checkpoint)
    if (warning !== undefined) console.error(`warning: ${warning}`)
    return { trainer, config, task, folder }
  } finally {
    await checkpoint.close()
  }
}

/** There is nothing to train: said, and an error if fewer steps are asked for than are done. */
function alreadyFinished({ folder, step }: Pick<Checkpoint, 'folder' | 'step'>, { train }: RunConfig): undefined {
  const run = shellWord(join(folder, '..'))
  if (step > train.steps) {
    throw new ConfigError(
      `train.steps is ${train.steps}, and ${folder} has made ${step} already: --set train.steps=${2 * step} trains on`,
    )
  }
  console.log(`${run}: already finished at step ${step}; --set train.steps=${2 * step} trains on:\n
    npx switchyard train --resume ${run} --set train.steps=${2 * step}
    npx switchyard eval ${run}`)
  return undefined
}

/** Removes the folder of a run that has failed before its first checkpoint. What is not ours stays. */
async function removeUnused(folder: string): Promise<void> {
  const checkpoints = await listCheckpoints(folder).catch(() => undefined)
  if (checkpoints?.length !== 0) return
  await rm(new MetricsLog(folder).path, { force: true }).catch(() => undefined)
  await rmdir(folder).catch(() => undefined)
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    found => found.isFile(),
    () => false,
  )

/** The run under runs/ that was saved last. */
async function latestRun(): Promise<string> {
  const saved = await Promise.all(
    (await runsIn('runs')).map(async ({ folder, checkpoint }) => ({ folder, at: (await stat(checkpoint)).mtimeMs })),
  )
  const [latest] = saved.sort((a, b) => b.at - a.at)
  if (latest === undefined)
    throw new ConfigError('there is no run with a checkpoint under runs/: give its folder, as in --resume runs/g2p')
  return latest.folder
}

function describeRun({ model, router, train }: RunConfig, task: Task): void {
  const specs = declareParameters(model, router)
  const examples = task.split('train')
  const inputs = new Set(examples.map(example => example.input)).size
  // Repeated lines look like more data than there is.
  const repeated = task.source.kind === 'pairs' && inputs < examples.length / 2
  console.log(
    `${task.name}: ${countExamples(examples.length, task)} to learn from${repeated ? `, with only ${formatCount(inputs)} different ${inputs === 1 ? 'input' : 'inputs'}` : ''}; ` +
      `${formatCount(countParameters(specs))} parameters, ${formatCount(countActiveParameters(specs))} for a token; ${formatCount(train.steps)} steps`,
  )
}

async function conclude({ trainer, config, task, folder }: Run): Promise<void> {
  const result = await watchPredictions(unitOf(task), onProgress =>
    evaluate(trainer.params, config, task, { split: 'test', limit: config.train.evalExamples, onProgress }),
  )
  const evaluated = result.total > 0
  console.log(
    evaluated
      ? `\nheld-out ${unitOf(task)}:\n\n${formatSamples(result, 12)}\n\n${formatRates(result, task)}`
      : '\nno example fell into the held-out split: more data is needed to evaluate',
  )
  const name = shellWord(folder)
  const [texts, again] =
    config.task.kind === 'g2p'
      ? ['switchyard transformer "your word"', 'train g2p --set train.steps=20000 --set model.numExperts=32']
      : ['"your input"', `train --resume ${name} --set train.steps=${4 * config.train.steps}`]
  const commands = [`infer ${name} ${texts}`, ...(evaluated ? [`eval ${name}`] : []), again]
  console.log(
    `\nsaved in ${folder}. What to do next:\n\n${commands.map(command => `    npx switchyard ${command}`).join('\n')}`,
  )
}

/** An argument as one writes it in a shell. */
const shellWord = (text: string): string => (/^[\w./:\\-]+$/.test(text) ? text : JSON.stringify(text))
