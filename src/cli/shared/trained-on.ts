import { basename } from 'node:path'
import { SwitchyardError } from '../../base/errors.js'
import { readInfo } from '../../checkpoint/checkpoint-info.js'
import { native } from '../../checkpoint/native.js'
import { latestCheckpoint } from '../../checkpoint/run-folder.js'
import { pairsSettingsOf } from '../../data/pairs/settings.js'
import type { PairsSettings } from '../../data/pairs/settings.js'
import { readCodec, savedName } from '../../data/task.js'
import type { Task, TaskConfig } from '../../data/task.js'
import type { RunConfig } from '../../train/config.js'
import type { NativeConfig } from '../../checkpoint/native-weights.js'
import { findUserValues } from './user-config.js'

/** What a model was trained on, by which a file is read as in its training. */
export interface TrainedOn {
  /** For a model of pairs: the settings by which its file was read. */
  readonly pairs?: PairsSettings
  /** For a model of any other task: the task, with its preprocessors. */
  readonly task?: Task
  /** Where that task cannot be opened: why, and what that means, for a user. */
  readonly note?: string
}

/**
 * What a run, or weights that `convert` wrote from one, was trained on. No field for models of another origin, and for
 * weights whose task is not known here. A task whose definition or data is missing gives a note alone: the model can do
 * without them.
 */
export async function trainedOn(path: string): Promise<TrainedOn> {
  const checkpoint = (await native.detect(path)) ? path : await latestCheckpoint(path).catch(() => undefined)
  if (checkpoint === undefined) return {}
  const { info } = await readInfo(checkpoint)
  const { task, trainedOn: converted } = (info.config ?? {}) as Partial<RunConfig & NativeConfig>
  const config = task ?? converted ?? undefined
  const pairs = config && pairsOf(config)
  if (pairs !== undefined) return { pairs }
  const codec = info.task === null ? undefined : readCodec(info.task)
  if (config !== undefined) return orNote(async () => (await findUserValues()).loadTask(config, codec))
  // Weights that an older version converted hold the name of their task alone.
  const name = savedName(info.task)
  const known = name === undefined ? undefined : await findUserValues()
  return known?.taskNames.includes(name!) ? orNote(() => known.taskNamed(name!, codec)) : {}
}

async function orNote(load: () => Promise<Task>): Promise<TrainedOn> {
  try {
    return { task: await load() }
  } catch (error) {
    if (!(error instanceof SwitchyardError)) throw error
    return {
      note: `warning: the data is read by its columns alone, without the preprocessors of the model's task, which cannot be opened: ${error.message}`,
    }
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
