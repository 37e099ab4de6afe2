import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { valueAndGrad } from '../engine/api/transforms.js'
import { clipByGlobalNorm, globalNorm } from './optimizers/clipping.js'
import type { Optimizer } from './optimizers/optimizer.js'

/** What a step replaces: donated to it, and returned new. */
export type TrainArrays = { params: TensorTree; optimizer: TensorTree }

/** What a step needs besides: all that is copied to the backend in a step, and small. */
export type StepInputs<B extends TensorTree> = {
  batch: B
  /** The run's random key; each step folds its number in. */
  key: Tensor
  /** int32, shape []: how many steps were made before. */
  step: Tensor
  /** float32, shape []. */
  learningRate: Tensor
}

/** Scalars by name, and small arrays; `loss` and `gradientNorm` (before clipping) are always there. */
export type StepMetrics = { [name: string]: Tensor }

/** A loss of shape [] and what is to be reported with it. */
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

/** The step as one compiled program. The old parameters and optimizer state are donated to it: they may not be used afterwards. */
export const makeTrainStep = <B extends TensorTree>(
  loss: Loss<B>,
  optimizer: Optimizer,
  clipNorm: number | null,
): TrainStep<B> => jit(trainStepFunction(loss, optimizer, clipNorm), { donate: [0] })
