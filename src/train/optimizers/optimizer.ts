import type { Tensor } from '../../engine/api/tensor.js'
import type { TensorTree } from '../../engine/api/tracing.js'

/** What changes from step to step, as float32 arrays of shape []. */
export type UpdateScalars = {
  readonly learningRate: Tensor
  /** How many updates were made before this one. */
  readonly step: Tensor
}

/**
 * One way to turn gradients into new parameters. Both functions are pure and can be traced: a training step compiles
 * `update` with the forward and backward pass, and donates the parameters and the state to it. The state is a tree of
 * float32 arrays whose structure and shapes depend on the parameters' alone.
 */
export interface Optimizer {
  readonly kind: string
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
