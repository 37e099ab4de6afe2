import type { TaskConfig } from '../data/task.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { OptimizerConfig } from './optimizers/optimizers.js'
import type { ScheduleConfig } from './optimizers/schedules.js'
import type { DistillConfig } from './distillation/config.js'
import type { MeshConfig } from './parallel/mesh-config.js'
import type { Origin } from './restore/origin.js'
import { trainableDefaults } from './trainable/config.js'
import type { TrainableConfig } from './trainable/config.js'

/** Everything that determines a run. Each of its checkpoints holds it. */
export interface RunConfig {
  task: TaskConfig
  model: ModelConfig
  router: RouterConfig
  train: TrainConfig
  /** Where the first weights came from, for a fine-tuned run; null: they were drawn at random. */
  from: Origin | null
  /** The teacher whose probabilities the model learns beside the targets; null: there is none. */
  distill: DistillConfig | null
}

/** Everything that determines how a model is trained, besides the model and the data. */
export interface TrainConfig extends TrainableConfig {
  /** Updates in the whole run; falling schedules reach 0 at the last one. */
  steps: number
  /** A batch is this many packed rows of inputLength + targetLength tokens. */
  rows: number
  inputLength: number
  targetLength: number
  /** Determines the initial parameters, the order of the data and dropout. */
  seed: number
  /**
   * How the parameters of a new model are drawn. `t5`: as T5's. `aligned`: attention first looks at neighbours, and the
   * cross attention at tokens that are like the decoder's (see `initAligned`).
   */
  init: 't5' | 'aligned'
  /**
   * A batch's rows are computed in this many equal parts, one after the other, and one update is made from the mean of
   * their gradients. Takes the memory of one part's activations and of one more copy of the gradients.
   */
  accumulate: number
  /**
   * The devices that a step is computed on, and how it is divided over them; null: one device. Needs a backend that has
   * as many.
   */
  mesh: MeshConfig | null
  /**
   * Whether the backward pass computes each layer's activations again instead of keeping them: less memory, about a
   * third more time.
   */
  remat: boolean
  /**
   * Whether the layers of a stack are a loop over their stacked parameters in the compiled program, so that it compiles
   * in the time of one layer (or two, if every second one is sparse). Each step copies the parameters and gradients of
   * the layers.
   */
  scanLayers: boolean
  /** The share of a target's probability that is spread over all other tokens in the loss. 0: none. */
  labelSmoothing: number
  /** Factor of the mean square of log(sum(exp(logits))) in the loss. null: that of the model's reference. */
  zLoss: number | null
  /**
   * Decay per step of the exponential moving average of the parameters, which is what evaluation and inference use.
   * null: the parameters themselves are used.
   */
  averageDecay: number | null
  /** The steps before this one have no dropout, neither in layers nor in experts. */
  dropoutFrom: number
  /**
   * How examples become batches. `dense`: drawn once an epoch at random and packed densely. `seqio`: SeqIO's very
   * batches for the same task and seed.
   */
  dataOrder: 'dense' | 'seqio'
  /** The buffer of SeqIO's shuffle, in examples; 0: none. Only for `dataOrder` seqio. */
  shuffleBuffer: number
  /** Whether a row may hold several examples; otherwise each has a row of its own. `dataOrder` seqio always packs. */
  packing: boolean
  /**
   * Without packing: at most so many sizes of batches, each for rows of like lengths, which need less padding. The step
   * is compiled for each size. 1: all batches have full rows.
   */
  buckets: number
  optimizer: OptimizerConfig
  schedule: ScheduleConfig
  /** Gradients are scaled down to this global norm if theirs is larger; null: never. */
  clipNorm: number | null
  /** Steps between two records in metrics.jsonl. */
  logEvery: number
  /**
   * Whether records have the norm of a step's change of the parameters. It takes a copy of the parameters in each step
   * that is recorded.
   */
  updateNorm: boolean
  /** Steps between two checkpoints; the last step always has one. */
  checkpointEvery: number
  /** Save checkpoints in the background, of a copy of the parameters and the optimizer's state. */
  asyncSave: boolean
  /** How many of the newest checkpoints are kept; older ones are deleted, except the best. */
  keep: number
  /** A checkpoint is saved after each multiple of this many steps, and never deleted; null: none. */
  keepEvery: number | null
  /** Steps between two validations, on the validation split; the last step has one too. null: there are none. */
  validateEvery: number | null
  /** How many examples the loss of a validation is computed on, spread evenly over the split; null: all. */
  validateExamples: number | null
  /** How many examples a validation answers, to compute the task's first figure. 0: none. */
  validateAnswers: number
  /** The figure of validations that the best checkpoint is chosen by: their loss, or the task's first figure. */
  bestBy: 'loss' | 'metric'
  /** Training stops after this many validations in a row that are no better than an earlier one. null: never. */
  patience: number | null
  /** How many held-out examples are evaluated at the end; null: all. */
  evalExamples: number | null
}

/** The settings that a configuration may leave out: those of runs from before the setting existed. */
export const trainDefaults = {
  ...trainableDefaults,
  init: 't5',
  accumulate: 1,
  mesh: null,
  remat: false,
  scanLayers: false,
  labelSmoothing: 0,
  zLoss: null,
  averageDecay: null,
  dropoutFrom: 0,
  asyncSave: true,
  keepEvery: null,
  validateEvery: null,
  validateExamples: 1000,
  validateAnswers: 100,
  bestBy: 'loss',
  patience: null,
  updateNorm: false,
  dataOrder: 'dense',
  shuffleBuffer: 1000,
  packing: true,
  buckets: 1,
} satisfies Partial<TrainConfig>
