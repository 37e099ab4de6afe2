import { FileError } from '../base/errors.js'
import { parseRunConfig } from '../config/validate.js'
import { readCodec } from '../data/task.js'
import type { TaskCodec } from '../data/task.js'
import { declareParameters } from '../model/parameters.js'
import type { ModelParams } from '../model/types.js'
import { isRun, openExpected, readTree } from '../train/checkpointing.js'
import type { ExpectedPath } from '../train/checkpointing.js'
import type { ChooseOptions } from '../train/choose-checkpoint.js'
import type { RunConfig } from '../train/config.js'
import { mergedReader } from '../train/trainable/merged-reader.js'

/** The model of a training run, as one of its checkpoints holds it. */
export interface OpenedModel {
  /** The checkpoint's folder. */
  readonly folder: string
  readonly params: ModelParams
  readonly config: RunConfig
  /** The codec it was trained with. `loadTask(config.task, codec)` loads its data as well. */
  readonly codec: TaskCodec
  readonly step: number
}

/** What a path may be that `openModel` opens. */
const runPath: ExpectedPath = {
  what: 'run',
  hint: "a run's folder was expected, such as runs/g2p, for its own task; any other model is evaluated with --data FILE",
}

/** Reads the model of a run's best checkpoint, or the one that the options choose; or of a checkpoint's own folder. */
export async function openModel(path: string, options: ChooseOptions = {}): Promise<OpenedModel> {
  const checkpoint = await openExpected(path, { ...options, choice: options.choice ?? 'best' }, runPath)
  try {
    if (!isRun(checkpoint))
      throw new FileError(
        `${checkpoint.folder}: this checkpoint holds a model's weights without the run's task and settings, ` +
          'which evaluating needs; switchyard infer can use it',
      )
    const config = parseRunConfig(checkpoint.config, `the configuration in ${checkpoint.folder}`)
    const stored = mergedReader(checkpoint.params, config.train.lora)
    const params = (await readTree(stored, declareParameters(config.model, config.router))) as ModelParams
    const { folder, step, task } = checkpoint
    return { folder, params, config, codec: readCodec(task), step }
  } finally {
    await checkpoint.close()
  }
}
