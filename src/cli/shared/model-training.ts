import { basename, dirname, resolve } from 'node:path'
import type { UserValues } from '../../config/user-values.js'
import { leafTasks } from '../../data/mixture.js'
import type { PairsSettings } from '../../data/pairs/settings.js'
import type { Task, TaskCodec, TaskConfig } from '../../data/task.js'
import { pairsTask } from '../../data/tasks/pairs.js'
import { codecToFineTune } from '../../data/tasks/registry.js'
import { checkLabels } from '../../data/tokenizers/new-labels.js'
import { MarkedWordsVocabulary } from '../../text/marked-words.js'
import { pairsFromOptions } from './pairs-from-options.js'
import type { DataOptions } from './data-options.js'
import { reuseSettings } from './reused-settings.js'
import { pairsOf } from './trained-on.js'

/** The options of a command that begins a run with a model that exists. */
export interface ModelTrainingOptions extends DataOptions {
  task?: string
  set: string[]
  out?: string
  revision?: string
  printConfig?: true
}

/** How the texts of a model become tokens, and what it was trained on. */
export interface TrainedTexts {
  readonly codec: TaskCodec
  /** The name of its task, if its weights are of a run. */
  readonly taskName?: string
  /** How the file of pairs that it was trained on was read, and the name of the model for messages. */
  readonly readAs?: { readonly pairs: PairsSettings; readonly name: string }
}

/**
 * The task to train a model on, and the overrides that are not settings of it. A pretrained model numbers words as a
 * new one would; a run goes on as it was trained, unless `--task` names another task that numbers them. Throws a
 * ConfigError for labels that the model cannot write.
 */
export async function taskOf(
  known: UserValues,
  options: DataOptions & Pick<ModelTrainingOptions, 'task' | 'set'>,
  texts: TrainedTexts,
): Promise<{ task: Task; others: readonly string[] }> {
  const { data, task: name, set } = options
  const found = data === undefined ? { task: await named(known, name!, texts), others: set } : undefined
  const { task, others } = found ?? (await onData(data!, options, texts))
  for (const leaf of leafTasks(task)) checkLabels(leaf)
  return { task, others }
}

async function onData(
  data: string,
  options: DataOptions & Pick<ModelTrainingOptions, 'set'>,
  { codec, taskName, readAs }: TrainedTexts,
): Promise<{ task: Task; others: readonly string[] }> {
  const { settings: given, others } = pairsFromOptions(data, options, options.set)
  const settings = await readAsTrained(given, readAs)
  return { task: await pairsTask(settings, codec, { isOfRun: taskName !== undefined }), others }
}

/** The settings for a file of pairs, completed by those of the run that a model is from, which are printed. */
export async function readAsTrained(given: PairsSettings, readAs: TrainedTexts['readAs']): Promise<PairsSettings> {
  if (readAs === undefined) return given
  const { settings, notes } = await reuseSettings(given, readAs.pairs, readAs.name)
  for (const note of notes) console.error(note)
  return settings
}

/** How a model's own file of pairs was read, from the settings of its task; undefined for any other task. */
export function readAsOf(trainedOn: TaskConfig | null | undefined, name: string): TrainedTexts['readAs'] {
  const pairs = trainedOn ? pairsOf(trainedOn) : undefined
  return pairs && { pairs, name }
}

async function named(known: UserValues, name: string, { codec, taskName }: TrainedTexts): Promise<Task> {
  const own = name === taskName ? codec : codecToFineTune(name, codec)
  const task = await known.taskNamed(name, own)
  if (!(task.codec.targets instanceof MarkedWordsVocabulary)) return task
  const how = own === codec ? 'as in the training of the model' : "by the model's sentinels"
  return { ...task, notes: [...(task.notes ?? []), `words are numbered on both sides, ${how}`] }
}

/** The last name of a path or a hub name; of a run's checkpoint, the run's name. */
export function shortName(name: string): string {
  const last = basename(name)
  return /^step-\d+$/.test(last) ? basename(dirname(resolve(name))) : last
}
