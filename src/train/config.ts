import type { TaskConfig } from '../data/task.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { OptimizerConfig } from './optimizers/optimizers.js'
import type { ScheduleConfig } from './optimizers/schedules.js'
import type { Origin } from './restore/origin.js'

/** Everything that determines a run. Each of its checkpoints holds it. */
export interface RunConfig {
  task: TaskConfig
  model: ModelConfig
  router: RouterConfig
  train: TrainConfig
  /** Where the first weights came from, for a fine-tuned run; null: they were drawn at random. */
  from: Origin | null
}

/** Everything that determines how a model is trained, besides the model and the data. */
export interface TrainConfig {
  /** Updates in the whole run; falling schedules reach 0 at the last one. */
  steps: number
  /** A batch is this many packed rows of inputLength + targetLength tokens. */
  rows: number
  inputLength: number
  targetLength: number
  /** Determines the initial parameters, the order of the data and dropout. */
  seed: number
  optimizer: OptimizerConfig
  schedule: ScheduleConfig
  /** Gradients are scaled down to this global norm if theirs is larger; null: never. */
  clipNorm: number | null
  /** Steps between two records in metrics.jsonl. */
  logEvery: number
  /** Steps between two checkpoints; the last step always has one. */
  checkpointEvery: number
  /** How many checkpoints are kept; older ones are deleted. */
  keep: number
  /** How many held-out examples are evaluated at the end; null: all. */
  evalExamples: number | null
}
