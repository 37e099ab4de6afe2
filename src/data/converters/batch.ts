import { hostTensor } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { TokenFields } from '../packing/segments.js'

/**
 * A training batch, under T5X's names. Each tensor is [rows, length], int32 (float32 for the weights). A row holds
 * several examples: segment k (from 1; 0 is padding) of the encoder's and of the decoder's row is one example.
 */
export interface PackedFeatures {
  readonly encoder_input_tokens: HostTensor
  /** The targets shifted right by one: the tokens that the decoder has seen when it predicts the next one. */
  readonly decoder_input_tokens: HostTensor
  readonly decoder_target_tokens: HostTensor
  /** 1 for each target, 0 for padding. */
  readonly decoder_loss_weights: HostTensor
  readonly encoder_segment_ids: HostTensor
  readonly decoder_segment_ids: HostTensor
}

/**
 * The batch of rows of an encoder-decoder, such as those of the converter `encDecConverter`. Positions are left out:
 * the model does not read them.
 */
export function stackRows(rows: readonly TokenFields[]): PackedFeatures {
  const stack = (name: string): Int32Array => {
    const length = rows[0][name].length
    const data = new Int32Array(rows.length * length)
    rows.forEach((row, r) => data.set(row[name], r * length))
    return data
  }
  const int32 = (name: string): HostTensor => hostTensor('int32', [rows.length, rows[0][name].length], stack(name))
  const weights = stack('decoder_loss_weights')
  return {
    encoder_input_tokens: int32('encoder_input_tokens'),
    decoder_input_tokens: int32('decoder_input_tokens'),
    decoder_target_tokens: int32('decoder_target_tokens'),
    decoder_loss_weights: hostTensor(
      'float32',
      [rows.length, weights.length / rows.length],
      Float32Array.from(weights),
    ),
    encoder_segment_ids: int32('encoder_segment_ids'),
    decoder_segment_ids: int32('decoder_segment_ids'),
  }
}
