import type { Tree } from '../base/pytree.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { JitOptions } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { valueAndGrad } from '../engine/api/transforms.js'
import type { NamedSharding } from '../engine/program/sharding.js'
import { clipByGlobalNorm, globalNorm } from './optimizers/clipping.js'
import type { Optimizer } from './optimizers/optimizer.js'
import { devicePart } from './parallel/device-part.js'
import type { DevicePart } from './parallel/device-part.js'
import { jitOnMesh } from './parallel/jit-on-mesh.js'
import type { MeshProgram } from './parallel/jit-on-mesh.js'

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

/** Computes a loss of shape [], and metrics to record with it. `step` is the number of steps before this one. */
export type Loss<B extends TensorTree> = (
  params: TensorTree,
  batch: B,
  key: Tensor,
  step: Tensor,
) => [loss: Tensor, metrics: { [name: string]: Tensor }]

/** What a step returns: the new arrays and the metrics. */
export type StepResult = { arrays: TrainArrays; metrics: StepMetrics }

export type TrainStep<B extends TensorTree> = (arrays: TrainArrays, inputs: StepInputs<B>) => StepResult

/**
 * One training step as a function to be traced: forward, backward, clipping and the optimizer's update. `device`: what
 * one of several devices does. Default: there is one.
 */
export function trainStepFunction<B extends TensorTree>(
  loss: Loss<B>,
  optimizer: Optimizer,
  clipNorm: number | null,
  device: DevicePart = devicePart(null),
): TrainStep<B> {
  const update = updateFunction(optimizer, clipNorm, device)
  return function trainStep(arrays, { batch, key, step, learningRate }) {
    const stepKey = device.key(random.foldIn(key, step))
    const [[value, metrics], gradients] = valueAndGrad((p: TensorTree) => loss(p, batch, stepKey, step), {
      hasAux: true,
    })(arrays.params)
    const allMetrics = { ...metrics, loss: device.loss(value) }
    return update(device.gradients(gradients), arrays, allMetrics, { step, learningRate })
  }
}

/** The end of a step as a function to be traced: clips the gradients and makes the optimizer's update. */
export const updateFunction =
  (optimizer: Optimizer, clipNorm: number | null, { total }: DevicePart) =>
  (
    gradients: TensorTree,
    arrays: TrainArrays,
    metrics: StepMetrics,
    { step, learningRate }: Pick<StepInputs<TensorTree>, 'step' | 'learningRate'>,
  ): StepResult => {
    const clipped =
      clipNorm === null
        ? { gradients, norm: globalNorm(gradients, total) }
        : clipByGlobalNorm(gradients, clipNorm, total)
    const { params, state } = optimizer.update(clipped.gradients, arrays.optimizer, arrays.params, {
      learningRate,
      step: np.astype(step, 'float32'),
    })
    return { arrays: { params, optimizer: state }, metrics: { ...metrics, gradientNorm: clipped.norm } }
  }

/** How a step is compiled. */
export interface StepOptions extends Pick<JitOptions, 'onTrace'> {
  /** The layouts of the step's arrays on a mesh of devices. Default: they are on one device. */
  layouts?: StepLayouts | null
}

/** The layouts of a step's arrays on a mesh. */
export interface StepLayouts extends MeshProgram {
  readonly params: Tree<NamedSharding>
  readonly optimizer: Tree<NamedSharding>
  readonly frozen: Tree<NamedSharding>
  readonly batch: NamedSharding
  /** A copy on each device. */
  readonly everywhere: NamedSharding
}

/** The loss of the trained parameters, for the parameters that are not trained. */
export type LossWith<B extends TensorTree> = (frozen: TensorTree) => Loss<B>

/**
 * A training step as one compiled program. The old parameters and state are donated to it: do not use them afterwards.
 */
export const makeTrainStep = <B extends TensorTree>(
  loss: Loss<B>,
  optimizer: Optimizer,
  clipNorm: number | null,
  options: StepOptions = {},
): TrainStep<B> => trainStepWith(() => loss, optimizer, clipNorm, options)({})

/** `makeTrainStep` with parameters that are not trained, which are an argument of the program. */
export function trainStepWith<B extends TensorTree>(
  lossWith: LossWith<B>,
  optimizer: Optimizer,
  clipNorm: number | null,
  { onTrace, layouts }: StepOptions,
): (frozen: TensorTree) => TrainStep<B> {
  const device = devicePart(layouts)
  function trainStep(arrays: TrainArrays, inputs: StepInputs<B>, frozen: TensorTree): StepResult {
    return trainStepFunction(lossWith(frozen), optimizer, clipNorm, device)(arrays, inputs)
  }
  const compiled = jitOnMesh(
    trainStep,
    layouts,
    ({ params, optimizer: state, frozen, batch, everywhere }) => {
      const arrays = { params, optimizer: state }
      const scalars = { key: everywhere, step: everywhere, learningRate: everywhere }
      return { in: [arrays, { batch, ...scalars }, frozen], out: { arrays, metrics: everywhere } }
    },
    { onTrace, donate: [0] },
  )
  return frozen => (arrays, inputs) => compiled(arrays, inputs, frozen)
}
