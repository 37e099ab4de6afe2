import { basename } from 'node:path'
import { MissingValueError } from '../../base/custom.js'
import { isMissing } from '../../base/system-errors.js'
import { readInfo } from '../../checkpoint/checkpoint-info.js'
import { native } from '../../checkpoint/native.js'
import { latestCheckpoint } from '../../checkpoint/run-folder.js'
import { pairsSettingsOf } from '../../data/pairs/settings.js'
import type { PairsSettings } from '../../data/pairs/settings.js'
import type { FieldNeed } from '../../data/saved-data.js'
import { readCodec, savedData, savedName } from '../../data/task.js'
import type { TaskLoadOptions, Task, TaskConfig } from '../../data/task.js'
import type { RunConfig } from '../../train/config.js'
import type { NativeConfig } from '../../checkpoint/native-weights.js'
import { findUserValues } from './user-config.js'

/** What a model was trained on, by which a file is read as in its training. */
export interface TrainedOn {
  /** For a model of pairs: the settings by which its file was read. */
  readonly pairs?: PairsSettings
  /** For a model of any other task: the task, with its preprocessors and perhaps without its examples. */
  readonly task?: Task
  /** The fields of that task's source. Left out if the task has its examples, which show them. */
  readonly needs?: readonly FieldNeed[]
  /** Where that task cannot be opened: why, and what that means, for a user. */
  readonly note?: string
  /** SHA-256 of the files of the training split. Left out by runs of older versions. */
  readonly digests?: readonly string[]
  /** Whether `eval` without --data can score the held-out part. */
  readonly isRun?: boolean
}

/**
 * What a run, or weights that `convert` wrote from one, was trained on. No field for models of another origin, and for
 * weights whose task is not known here. The data of the task is not read, unless an older version saved the model. A
 * task that is not known in this folder, or whose data is missing, gives a note: the model can do without them. Throws
 * a SwitchyardError for a task whose definition is wrong.
 */
export async function trainedOn(path: string): Promise<TrainedOn> {
  const checkpoint = (await native.detect(path)) ? path : await latestCheckpoint(path).catch(() => undefined)
  if (checkpoint === undefined) return {}
  const { info } = await readInfo(checkpoint)
  const { task, trainedOn: converted } = (info.config ?? {}) as Partial<RunConfig & NativeConfig>
  const config = task ?? converted ?? undefined
  const { digests, needs } = savedData(info.task) ?? {}
  const facts = { digests, isRun: task !== undefined }
  const pairs = config && pairsOf(config)
  if (pairs !== undefined) return { pairs, ...facts }
  const codec = info.task === null ? undefined : readCodec(info.task)
  if (config !== undefined) {
    const values = await findUserValues()
    return { ...facts, ...(await opened(options => values.loadTask(config, codec, options), needs ?? undefined)) }
  }
  // Weights that an older version converted hold the name of their task alone.
  const name = savedName(info.task)
  const known = name === undefined ? undefined : await findUserValues()
  return known?.taskNames.includes(name!) ? opened(options => known.taskNamed(name!, codec, options)) : {}
}

const NOTE =
  "warning: the data is read by its columns alone, without the preprocessors of the model's task, which cannot be opened"

/** A task without its examples; with them if it needs them to tell what its fields are. */
async function opened(
  load: (options: TaskLoadOptions) => Promise<Task>,
  needs?: readonly FieldNeed[],
): Promise<Pick<TrainedOn, 'task' | 'needs' | 'note'>> {
  let task: Task
  try {
    task = await load({ withoutData: true })
  } catch (error) {
    if (error instanceof MissingValueError) return { note: `${NOTE}: ${error.message}` }
    throw error
  }
  if (needs !== undefined || task.examplesOf === undefined) return { task, needs: needs ?? [] }
  try {
    return { task: await load({}) }
  } catch (error) {
    // The definition is right, since the task could be loaded without its data: it is the data that is missing.
    if (isMissing(error)) return { note: `${NOTE}: ${(error as Error).message}` }
    throw error
  }
}

/** The settings of a task of pairs; undefined for another task. */
export function pairsOf({ kind, ...settings }: TaskConfig): PairsSettings | undefined {
  return kind === 'pairs' ? pairsSettingsOf(settings as unknown as PairsSettings) : undefined
}

/** The task of a run as converted weights name it: without the folders of this machine. */
export function withoutFolders(config: TaskConfig): TaskConfig {
  const pairs = pairsOf(config)
  return pairs === undefined
    ? config
    : { kind: config.kind, ...pairs, path: basename(pairs.path), validation: null, test: null }
}
