import type { PackedFeatures } from '../data/converters/batch.js'
import type { Tensor } from '../engine/api/tensor.js'
import { lossFunction } from '../model/loss.js'
import type { LossOptions } from '../model/loss.js'
import type { Batch, ModelParams } from '../model/types.js'
import { batchOf } from './batch.js'

/** A model's figures on targets. */
export interface TargetFigures {
  /** The mean cross entropy of the targets, in nats, without label smoothing. */
  readonly crossEntropy: number
  /** The share of the targets that is predicted right. */
  readonly accuracy: number
  /** How many examples it was measured on. */
  readonly examples: number
}

/** The metrics of one batch that the means are computed from; `targetTokens` is the number of its targets. */
export type BatchFigures = Readonly<Record<Exclude<keyof TargetFigures, 'examples'> | 'targetTokens', Tensor>>

/** The metrics of a batch that `targetFigures` takes, without label smoothing or noise: a function to be traced. */
export function evaluateBatch(params: ModelParams, batch: Batch, options: Omit<LossOptions, 'mode'>): BatchFigures {
  const [, { crossEntropy, accuracy, targetTokens }] = lossFunction(params, batch, { ...options, mode: 'eval' })
  return { crossEntropy, accuracy, targetTokens }
}

/**
 * The means over the targets of all batches: a batch counts by the number of its targets. `onBatch` gets the metrics of
 * each batch.
 */
export async function targetFigures<F extends BatchFigures>(
  batches: readonly PackedFeatures[],
  evaluate: (batch: Batch) => F,
  onBatch?: (figures: F) => Promise<void>,
): Promise<TargetFigures> {
  let [crossEntropy, accuracy, targets, examples] = [0, 0, 0, 0]
  for (const features of batches) {
    const figures = evaluate(batchOf(features))
    const weight = await figures.targetTokens.item()
    crossEntropy += weight * (await figures.crossEntropy.item())
    accuracy += weight * (await figures.accuracy.item())
    targets += weight
    examples += countExamples(features)
    await onBatch?.(figures)
  }
  return { crossEntropy: crossEntropy / targets, accuracy: accuracy / targets, examples }
}

/** The number of examples in a packed batch: the segments of its rows. */
function countExamples({ decoder_segment_ids: { shape, data } }: PackedFeatures): number {
  const [rows, length] = shape
  let examples = 0
  for (let row = 0; row < rows; row++) {
    let last = 0
    for (let i = row * length; i < (row + 1) * length; i++) last = Math.max(last, Number(data[i]))
    examples += last
  }
  return examples
}
