import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'

/** Where token ids [batch, length] are not padding. Padding is id 0. */
export const nonPaddingTokens = (ids: Tensor): Tensor => np.greater(ids, 0) // [batch, length], bool

/**
 * The decoder positions that Flaxformer counts as tokens (`get_decoder_logit_mask`), from the decoder's inputs [batch,
 * length]: the first position, and each position where the input or the next input is not padding. The position of a
 * row's last target, whose input is the last real one, is so included.
 */
export function flaxformerDecoderTokens(decoderInputs: Tensor): Tensor {
  const [batch, length] = decoderInputs.shape
  const present = nonPaddingTokens(decoderInputs) // [batch, length]
  const next = np.concatenate([present.get(':', np.slice(1)), np.zeros([batch, 1], 'bool')], 1) // [batch, length]
  const first = np.equal(np.arange(length), 0) // [length]
  return np.logicalOr(first, np.logicalOr(present, next)) // [batch, length]
}
