import { basename, dirname, join, resolve } from 'node:path'
import { ConfigError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { exists } from '../checkpoint/atomic.js'
import { finetuneConfig } from '../config/finetune.js'
import type { UserValues } from '../config/user-values.js'
import { leafTasks } from '../data/mixture.js'
import type { Task, TaskCodec } from '../data/task.js'
import { pairsTask } from '../data/tasks/pairs.js'
import { coverageWarnings } from '../data/tokenizers/coverage.js'
import { countParameters, declareParameters } from '../model/parameters.js'
import { openBaseModel } from '../open/base-model.js'
import { declareAdapters } from '../train/trainable/adapters.js'
import { isFrozen } from '../train/trainable/freeze.js'
import { Trainer } from '../train/trainer.js'
import { pairsFromOptions } from './data-options.js'
import type { DataOptions } from './data-options.js'
import { findFolder } from './find-folder.js'
import { checkOut, enterFolder, printSettings, runToEnd } from './running.js'
import type { Run } from './running.js'
import { loadUserValues } from './user-config.js'

export interface FinetuneOptions extends DataOptions {
  task?: string
  set: string[]
  out?: string
  revision?: string
  printConfig?: true
}

/** Trains a model that exists on other data; then evaluates, and prints commands to continue with. */
export async function finetune(name: string, options: FinetuneOptions): Promise<void> {
  const run = await begin(name, options)
  if (run !== undefined) await runToEnd(run)
}

/** Begins a run with a model's weights. Returns undefined with --print-config. */
async function begin(name: string, options: FinetuneOptions): Promise<Run | undefined> {
  const { out, revision, printConfig } = options
  if ((options.data === undefined) === (options.task === undefined))
    throw new ConfigError(
      `give --data with a file of your own, or --task with a task${options.data === undefined ? '' : ', not both'}`,
    )
  await checkOut(out)
  const known = await loadUserValues()
  const isPath = await exists(name)
  const base = await openBaseModel(await findFolder(name, revision), message => console.error(message))
  try {
    const { start, codec, run } = base
    const { task, others } = await taskOf(known, options, codec)
    const { container, model, router } = start.weights
    const config = finetuneConfig({ path: isPath ? resolve(name) : name, container, model, router, run }, task, others)
    if (printConfig) return printSettings(config)
    const values = { ...known.valuesOf(config), task }
    const trainer = await Trainer.begin(config, { ...known.hooks, ...values }, start)
    const wanted = out ?? join('runs', `${shortName(name)}-${task.name}`)
    const origin = { base: 'finetune', data: options.data ?? options.task, weights: name, set: options.set }
    const entered = await enterFolder(trainer, wanted, origin, values)
    describeStart(trainer)
    // A task of pairs has these warnings among its notes.
    if (options.data === undefined) for (const warning of leafTasks(task).flatMap(unknownTexts)) console.log(warning)
    return entered
  } finally {
    await base.close()
  }
}

/** The task to train on, and the overrides that are not settings of it. */
async function taskOf(
  known: UserValues,
  options: FinetuneOptions,
  codec: TaskCodec,
): Promise<{ task: Task; others: readonly string[] }> {
  const { data, task, set } = options
  if (data === undefined) return { task: await known.taskNamed(task!, codec), others: set }
  const { settings, others } = pairsFromOptions(data, options, set)
  return { task: await pairsTask(settings, codec), others }
}

/** Warnings of a task's texts that the model's vocabulary cannot write. */
const unknownTexts = (task: Task): string[] =>
  coverageWarnings(
    task.codec,
    { train: task.split('train'), heldOut: [...task.split('validation'), ...task.split('test')] },
    false,
  )

/** The last name of a path or a hub name; of a run's checkpoint, the run's name. */
function shortName(name: string): string {
  const last = basename(name)
  return /^step-\d+$/.test(last) ? basename(dirname(resolve(name))) : last
}

/** Prints which parameters were restored from where, which ones are new, and the optimizer's state. */
function describeStart({ config: { model, router, train, from }, restored }: Trainer): void {
  const { sources, initialised, unused } = restored!.plan
  const specs = declareParameters(model, router)
  const count = (paths: ReadonlySet<string>): string => {
    const chosen = specs.filter(spec => paths.has(spec.path))
    return `${formatCount(chosen.length)} of ${formatCount(specs.length)} tensors (${formatCount(countParameters(chosen))} parameters)`
  }
  const renamed = [...sources].filter(([path, source]) => path !== source)
  console.log(
    `restored ${count(new Set(sources.keys()))} from ${from!.path} (${from!.step > 0 ? `run, after ${formatCount(from!.step)} steps` : from!.container})`,
  )
  if (renamed.length > 0)
    console.log(`  of these from other names: ${listed(renamed.map(([path, source]) => `${path} from ${source}`))}`)
  if (initialised.length > 0) console.log(`new: ${count(new Set(initialised))}: ${listed(initialised)}`)
  if (unused.length > 0) console.log(`not used: ${listed(unused)}`)
  if (train.lora.rank > 0) {
    const adapters = declareAdapters(specs, train.lora).filter(({ path }) => !isFrozen(train.freeze, path))
    const parameters = formatCount(countParameters(adapters))
    console.log(`trained: ${adapters.length / 2} adapters of rank ${train.lora.rank} (${parameters} parameters)`)
  } else if (train.freeze.length > 0) {
    const trained = specs.filter(({ path }) => !isFrozen(train.freeze, path))
    console.log(`trained: ${count(new Set(trained.map(spec => spec.path)))}; the others are frozen`)
  }
  console.log(
    restored!.optimizer === 'restored'
      ? `the state of the optimizer (${train.optimizer.kind}) is restored, after ${formatCount(from!.step)} updates`
      : `the state of the optimizer (${train.optimizer.kind}) is fresh`,
  )
}

const MOST_LISTED = 4

const listed = (items: readonly string[]): string =>
  items.length <= MOST_LISTED
    ? items.join(', ')
    : `${items.slice(0, MOST_LISTED).join(', ')} and ${formatCount(items.length - MOST_LISTED)} more`
