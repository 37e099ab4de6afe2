import { sizeOf } from '../base/host-tensor.js'
import { treeMap } from '../base/pytree.js'
import type { PackedFeatures } from '../data/converters/batch.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { batchOf } from './batch.js'
import { globalNorm } from './optimizers/clipping.js'
import type { RunArrays } from './model-parts.js'
import type { TrainerParts } from './parts.js'
import type { PendingStep } from './reporter.js'

/** A step that was sent to the backend, and its batch. */
export interface SentStep extends PendingStep {
  readonly features: PackedFeatures
}

const norm = jit(function parameter_norm(params: TensorTree) {
  return globalNorm(params)
})
const copy = jit(function copy_parameters(params: TensorTree) {
  return treeMap((p: Tensor) => np.add(p, 0), params) as TensorTree
})
const distance = jit(function update_norm(after: TensorTree, before: TensorTree) {
  return globalNorm(treeMap((a: Tensor, b: Tensor) => np.subtract(a, b), after, before) as TensorTree)
})

/** The number of tokens of a batch, padding included. */
const positionsOf = ({ encoder_input_tokens: inputs, decoder_input_tokens: targets }: PackedFeatures): number =>
  sizeOf(inputs.shape) + sizeOf(targets.shape)

/**
 * Sends step number `step` (from 0) to the backend, without waiting for it. With `record`, the step's metrics include
 * the norm of the new parameters and, if the configuration asks for it, that of their change, for which the parameters
 * are copied.
 */
export async function sendStep(
  parts: TrainerParts,
  before: RunArrays,
  step: number,
  record: boolean,
): Promise<{ arrays: RunArrays; sent: SentStep }> {
  const { batches, schedule, stepKey, trainStep, firstUpdate } = parts
  const waitedBefore = batches.secondsWaited
  const { features, examples, tokens } = await batches.next()
  const secondsWaited = batches.secondsWaited - waitedBefore
  const learningRate = schedule(step)
  const copied = record && parts.config.train.updateNorm ? copy(before.params) : undefined
  const { arrays, metrics } = trainStep(before, {
    batch: batchOf(features),
    key: stepKey,
    step: np.array(step + firstUpdate, 'int32'),
    learningRate: np.array(learningRate),
  })
  const norms = {
    ...(record && { parameterNorm: norm(arrays.params) }),
    ...(copied && { updateNorm: distance(arrays.params, copied) }),
  }
  const sent = {
    step: step + 1,
    examples,
    tokens,
    packingEfficiency: tokens / positionsOf(features),
    secondsWaited,
    learningRate,
    metrics: { ...metrics, ...norms },
    features,
  }
  return { arrays, sent }
}
