import { basename, dirname, join, resolve } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import { exists } from '../../checkpoint/atomic.js'
import { finetuneConfig } from '../../config/finetune.js'
import type { UserValues } from '../../config/user-values.js'
import { leafTasks } from '../../data/mixture.js'
import type { Task, TaskCodec } from '../../data/task.js'
import { pairsTask } from '../../data/tasks/pairs.js'
import { codecToFineTune } from '../../data/tasks/registry.js'
import { coverageWarnings } from '../../data/tokenizers/coverage.js'
import { openBaseModel } from '../../open/base-model.js'
import { Trainer } from '../../train/trainer.js'
import { pairsFromOptions } from '../shared/data-options.js'
import type { DataOptions } from '../shared/data-options.js'
import { checkFinetuneOverrides } from '../train/early-checks.js'
import { findFolder } from '../shared/find-folder.js'
import { checkOut, enterFolder, printSettings, runToEnd } from '../train/running.js'
import type { Run } from '../train/running.js'
import { describeStart } from './start-report.js'
import { loadUserValues } from '../shared/user-config.js'

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
    const { start, codec, taskName, run } = base
    const { container, model, router } = start.weights
    const source = { path: isPath ? resolve(name) : name, container, model, router, run }
    checkFinetuneOverrides(source, codec, overridesOf(options), known)
    const isNewTask = options.task !== undefined && options.task !== taskName
    const taskCodec = isNewTask ? codecToFineTune(options.task!, codec) : codec
    const { task, others } = await taskOf(known, options, taskCodec)
    const config = finetuneConfig(source, task, others)
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

/** The overrides that are not settings of the task. */
const overridesOf = (options: DataOptions & Pick<FinetuneOptions, 'set'>): readonly string[] =>
  options.data === undefined ? options.set : pairsFromOptions(options.data, options, options.set).others

/** The task to train on, and the overrides that are not settings of it. */
export async function taskOf(
  known: UserValues,
  options: DataOptions & Pick<FinetuneOptions, 'task' | 'set'>,
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
export function shortName(name: string): string {
  const last = basename(name)
  return /^step-\d+$/.test(last) ? basename(dirname(resolve(name))) : last
}
