import type { OptimizerConfig } from './optimizers/optimizers.js'
import type { ScheduleConfig } from './optimizers/schedules.js'

/** Everything that decides a training run, besides the model and the data. */
export interface TrainConfig {
  /** Updates in the whole run; the schedule ends with it. */
  steps: number
  /** A batch is this many packed rows of inputLength + targetLength tokens. */
  rows: number
  inputLength: number
  targetLength: number
  /** Decides the initial parameters, the order of the data and dropout. */
  seed: number
  optimizer: OptimizerConfig
  schedule: ScheduleConfig
  /** Largest global norm of the gradients, or null: they are not clipped. */
  clipNorm: number | null
  /** Steps between two records in metrics.jsonl. */
  logEvery: number
  /** Steps between two checkpoints; there is always one at the end. */
  checkpointEvery: number
  /** How many checkpoints are kept. */
  keep: number
  /** How many held-out examples are evaluated at the end; null: all. */
  evalExamples: number | null
}
