import { savedName } from '../data/task.js'
import type { TaskCodec, TaskConfig } from '../data/task.js'
import type { RunConfig } from '../train/config.js'
import { currentJob } from '../train/job/job.js'
import type { StartingPoint } from '../train/restore/start.js'
import { trainingCodec } from './model-codec.js'
import { requireDecoder } from '../checkpoint/weights.js'
import { openWeights } from './open-weights.js'

/** A model that is to be fine-tuned. */
export interface BaseModel {
  readonly start: StartingPoint
  /** The model's own vocabulary, which the fine-tuned model keeps. */
  readonly codec: TaskCodec
  /** The name of the task that it was trained on, if its weights say so. */
  readonly taskName?: string
  /** The settings of that task, if its weights hold them. */
  readonly trainedOn?: TaskConfig | null
  /** The configuration of the run that the weights are of, and how many steps it has made. */
  readonly run?: { readonly config: RunConfig; readonly step: number }
  close(): Promise<void>
}

/**
 * Opens the weights at a path, of any format that `openWeights` knows, with their vocabulary. Close it after the run
 * has begun. All processes of a job call this.
 */
export async function openBaseModel(path: string, onNotice: (message: string) => void): Promise<BaseModel> {
  const weights = await openWeights(path, { onNotice, job: currentJob() })
  try {
    requireDecoder(weights)
    const { run } = weights
    return {
      start: { weights, optimizer: run?.checkpoint.optimizer, config: run?.config },
      codec: await trainingCodec(weights, onNotice),
      taskName: savedName(weights.texts?.task),
      trainedOn: run?.config.task ?? weights.texts?.trainedOn,
      run: run && { config: run.config, step: run.checkpoint.step },
      close: () => weights.close(),
    }
  } catch (error) {
    await weights.close()
    throw error
  }
}
