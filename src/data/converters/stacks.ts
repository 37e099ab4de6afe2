import type { TokenFields } from '../packing/segments.js'
import { lossWeights, shiftRight } from './autoregressive.js'

/** The features of an encoder that reads a row's `inputs`. */
export const encoderFeatures = (row: TokenFields): TokenFields => ({
  encoder_input_tokens: row.inputs,
  ...segmentsOf(row, 'inputs', 'encoder'),
})

/**
 * The features of a decoder that learns to predict a row's `targets`, each token from those before it. By default a 0
 * has no weight in the loss.
 */
export const decoderFeatures = (
  row: TokenFields,
  bosId?: number,
  weights: Int32Array = lossWeights(row.targets),
): TokenFields => ({
  decoder_target_tokens: row.targets,
  decoder_input_tokens: shiftRight(row.targets, row.targets_segment_ids, bosId),
  decoder_loss_weights: weights,
  ...segmentsOf(row, 'targets', 'decoder'),
})

/** The segment ids and positions of a row, if it has them, under the model's names. */
const segmentsOf = (row: TokenFields, feature: string, stack: string): TokenFields =>
  `${feature}_segment_ids` in row
    ? {
        [`${stack}_segment_ids`]: row[`${feature}_segment_ids`],
        [`${stack}_positions`]: row[`${feature}_positions`],
      }
    : {}
