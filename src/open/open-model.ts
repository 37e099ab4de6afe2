import { FileError } from '../base/errors.js'
import { taskFromSpec } from '../data/task.js'
import type { TaskCodec } from '../data/task.js'
import { declareParameters } from '../model/parameters.js'
import type { ModelParams } from '../model/types.js'
import { isRun, openCheckpoint, readTree } from '../train/checkpointing.js'
import type { TrainerConfig } from '../train/trainer.js'

/** A trained model, as a checkpoint holds it. */
export interface OpenedModel<C extends TrainerConfig> {
  readonly params: ModelParams
  readonly config: C
  readonly codec: TaskCodec
  /** The task as it was saved: `loadTask` finds its data again. */
  readonly taskSpec: unknown
  readonly step: number
}

/** Reads the model of a run's latest checkpoint, or of a checkpoint's folder. `parse` checks the saved configuration. */
export async function openModel<C extends TrainerConfig>(
  path: string,
  parse: (config: unknown, what: string) => C,
): Promise<OpenedModel<C>> {
  const checkpoint = await openCheckpoint(path)
  try {
    if (!isRun(checkpoint))
      throw new FileError(
        `${checkpoint.folder}: these are a model's weights alone: switchyard infer runs them; a run was expected, with its task and its settings`,
      )
    const config = parse(checkpoint.config, `the configuration in ${checkpoint.folder}`)
    const params = (await readTree(checkpoint.params, declareParameters(config.model, config.router))) as ModelParams
    return { params, config, codec: taskFromSpec(checkpoint.task), taskSpec: checkpoint.task, step: checkpoint.step }
  } finally {
    await checkpoint.close()
  }
}
