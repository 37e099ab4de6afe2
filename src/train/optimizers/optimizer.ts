import type { Tensor } from '../../engine/api/tensor.js'
import type { TensorTree } from '../../engine/api/tracing.js'

/** What changes from step to step, as float32 arrays of shape []. */
export type UpdateScalars = {
  readonly learningRate: Tensor
  /** How many updates were made before this one: 0 at the first. */
  readonly step: Tensor
}

/**
 * Turns gradients into new parameters. `Trainer` and `makeTrainStep` take any value of this type; the built-in ones are
 * `adamW` and `adafactor`. Both functions are pure and are traced: a training step compiles `update` together with the
 * forward and backward pass, and donates the parameters and the state to it. On a mesh of processes it is given the
 * experts of one process, so it must not compute with several experts of a stack together. The state is a tree of
 * float32 arrays (perhaps empty) whose structure and shapes depend on the parameters' structure and shapes alone.
 */
export interface Optimizer {
  /** Names it in checkpoints and messages. */
  readonly name: string
  /** The state before the first update. */
  init<P extends TensorTree>(params: P): TensorTree
  /** New parameters and state. `gradients` has the structure and shapes of `params`. */
  update<P extends TensorTree, S extends TensorTree>(
    gradients: P,
    state: S,
    params: P,
    scalars: UpdateScalars,
  ): { params: P; state: S }
}
