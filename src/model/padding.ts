import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'

/**
 * Where positions [batch, length] hold tokens and not padding. Segments say so if there are some: a position outside of
 * all segments is padding, and a token inside of one may even have the padding id, as the EOS of some models does.
 * Without segments, padding is what has the padding id.
 */
export const nonPaddingTokens = (ids: Tensor, segments: Tensor | undefined, padId: number): Tensor =>
  segments ? np.greater(segments, 0) : np.notEqual(ids, padId) // [batch, length], bool

/**
 * The decoder positions that Flaxformer counts as tokens (`get_decoder_logit_mask`), from where the decoder's inputs
 * are not padding [batch, length]: the first position, and each position where the input or the next input is not
 * padding. The position of a row's last target, whose input is the last real one, is so included.
 */
export function flaxformerDecoderTokens(present: Tensor): Tensor {
  const [batch, length] = present.shape
  const next = np.concatenate([present.get(':', np.slice(1)), np.zeros([batch, 1], 'bool')], 1) // [batch, length]
  const first = np.equal(np.arange(length), 0) // [length]
  return np.logicalOr(first, np.logicalOr(present, next)) // [batch, length]
}
