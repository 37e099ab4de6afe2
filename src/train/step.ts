import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { valueAndGrad } from '../engine/api/transforms.js'
import { clipByGlobalNorm, globalNorm } from './optimizers/clipping.js'
import type { Optimizer } from './optimizers/optimizer.js'

/** The arrays that a step updates. They are donated to it, and it returns new ones. */
export type TrainArrays = { params: TensorTree; optimizer: TensorTree }

/** A step's inputs besides its arrays. They are small, and the only data that is copied to the backend in each step. */
export type StepInputs<B extends TensorTree> = {
  batch: B
  /** The run's random key. Each step folds its own number into it. */
  key: Tensor
  /** int32, shape []: the number of steps before this one. */
  step: Tensor
  /** float32, shape []. */
  learningRate: Tensor
}

/** Scalars and small arrays by name. `loss` and `gradientNorm` (before clipping) are always present. */
export type StepMetrics = { [name: string]: Tensor }

/** Computes a loss of shape [], and metrics to record with it. */
export type Loss<B extends TensorTree> = (
  params: TensorTree,
  batch: B,
  key: Tensor,
) => [loss: Tensor, metrics: { [name: string]: Tensor }]

export type TrainStep<B extends TensorTree> = (
  arrays: TrainArrays,
  inputs: StepInputs<B>,
) => { arrays: TrainArrays; metrics: StepMetrics }

/** One training step as a function to be traced: forward, backward, clipping and the optimizer's update. */
export function trainStepFunction<B extends TensorTree>(
  loss: Loss<B>,
  optimizer: Optimizer,
  clipNorm: number | null,
): TrainStep<B> {
  return function trainStep({ params, optimizer: state }, { batch, key, step, learningRate }) {
    const stepKey = random.foldIn(key, step)
    const [[value, metrics], gradients] = valueAndGrad((p: TensorTree) => loss(p, batch, stepKey), { hasAux: true })(
      params,
    )
    const clipped =
      clipNorm === null ? { gradients, norm: globalNorm(gradients) } : clipByGlobalNorm(gradients, clipNorm)
    const updated = optimizer.update(clipped.gradients, state, params, {
      learningRate,
      step: np.astype(step, 'float32'),
    })
    return {
      arrays: { params: updated.params, optimizer: updated.state },
      metrics: { ...metrics, loss: value, gradientNorm: clipped.norm },
    }
  }
}

/**
 * A training step as one compiled program. The old parameters and state are donated to it: do not use them afterwards.
 */
export const makeTrainStep = <B extends TensorTree>(
  loss: Loss<B>,
  optimizer: Optimizer,
  clipNorm: number | null,
): TrainStep<B> => jit(trainStepFunction(loss, optimizer, clipNorm), { donate: [0] })
