import { basename, dirname, resolve } from 'node:path'
import type { UserValues } from '../../config/user-values.js'
import type { Task, TaskCodec } from '../../data/task.js'
import { pairsTask } from '../../data/tasks/pairs.js'
import { pairsFromOptions } from './data-options.js'
import type { DataOptions } from './data-options.js'

/** The options of a command that begins a run with a model that exists. */
export interface ModelTrainingOptions extends DataOptions {
  task?: string
  set: string[]
  out?: string
  revision?: string
  printConfig?: true
}

/** The task to train on, and the overrides that are not settings of it. */
export async function taskOf(
  known: UserValues,
  options: DataOptions & Pick<ModelTrainingOptions, 'task' | 'set'>,
  codec: TaskCodec,
): Promise<{ task: Task; others: readonly string[] }> {
  const { data, task, set } = options
  if (data === undefined) return { task: await known.taskNamed(task!, codec), others: set }
  const { settings, others } = pairsFromOptions(data, options, set)
  return { task: await pairsTask(settings, codec), others }
}

/** The last name of a path or a hub name; of a run's checkpoint, the run's name. */
export function shortName(name: string): string {
  const last = basename(name)
  return /^step-\d+$/.test(last) ? basename(dirname(resolve(name))) : last
}
