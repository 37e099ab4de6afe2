import { sizeOf } from '../base/host-tensor.js'
import type { PackedFeatures } from '../data/converters/batch.js'
import * as np from '../engine/api/np.js'
import { batchOf } from './batch.js'
import type { RunArrays } from './model-parts.js'
import type { TrainerParts } from './parts.js'
import type { PendingStep } from './reporter.js'

/** A step that was sent to the backend, and its batch. */
export interface SentStep extends PendingStep {
  readonly features: PackedFeatures
}

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
  const { batches, schedule, stepKey, trainStep, firstUpdate, norms } = parts
  const waitedBefore = batches.secondsWaited
  const { features, examples, tokens } = await batches.next()
  const secondsWaited = batches.secondsWaited - waitedBefore
  const learningRate = schedule(step)
  const copied = record && parts.config.train.updateNorm ? norms.copy(before.params) : undefined
  const { arrays, metrics } = trainStep(before, {
    batch: batchOf(features),
    key: stepKey,
    step: np.array(step + firstUpdate, 'int32'),
    learningRate: np.array(learningRate),
  })
  const measured = {
    ...(record && { parameterNorm: norms.norm(arrays.params) }),
    ...(copied && { updateNorm: norms.distance(arrays.params, copied) }),
  }
  const sent = {
    step: step + 1,
    examples,
    tokens,
    packingEfficiency: tokens / positionsOf(features),
    secondsWaited,
    learningRate,
    metrics: { ...metrics, ...measured },
    features,
  }
  return { arrays, sent }
}
