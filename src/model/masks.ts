import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import type { Meaning } from './meaning.js'
import { nonPaddingTokens } from './padding.js'
import type { Batch } from './types.js'

/**
 * The masks of one stack. Attention masks are true where a query sees a key, and broadcast to [batch, 1, query, key].
 */
export interface StackMasks {
  selfAttention: Tensor
  /** Where positions are tokens and not padding. null: all positions are tokens. */
  nonPadding: Tensor | null // [batch, length], bool
}

const alongQueries = (x: Tensor): Tensor => np.expandDims(x, [1, 3]) // [batch, 1, query, 1]
const alongKeys = (x: Tensor): Tensor => np.expandDims(x, [1, 2]) // [batch, 1, 1, key]

/** Hides padding keys, from the keys' token ids [batch, length]. */
export const keyMask = (ids: Tensor): Tensor => alongKeys(nonPaddingTokens(ids)) // [batch, 1, 1, key]

/** Hides later keys from every query. */
export const causalMask = (length: number): Tensor => np.tril(np.ones([1, 1, length, length], 'bool')) // [1, 1, query, key]

/**
 * Hides keys of other segments: examples that are packed into one row do not attend to each other. Segment ids are
 * [batch, length].
 */
function withinSegments(mask: Tensor, querySegments?: Tensor, keySegments?: Tensor): Tensor {
  if (!querySegments || !keySegments) return mask // [batch, 1, query, key]
  return np.logicalAnd(mask, np.equal(alongQueries(querySegments), alongKeys(keySegments))) // [batch, 1, query, key]
}

/**
 * Hides all keys from padding queries, if the implementation that is followed does so (see meaning.ts). `queries` are
 * token ids [batch, query].
 */
const withoutPaddingQueries = (mask: Tensor, queries: Tensor, meaning: Meaning): Tensor =>
  meaning.hidesKeysFromPadding ? np.logicalAnd(mask, alongQueries(nonPaddingTokens(queries))) : mask // [batch, 1, query, key]

export type EncoderBatch = Pick<Batch, 'encoder_input_tokens' | 'encoder_segment_ids'>

export function encoderMasks(
  { encoder_input_tokens: inputs, encoder_segment_ids: segments }: EncoderBatch,
  meaning: Meaning,
): StackMasks {
  return {
    selfAttention: withinSegments(withoutPaddingQueries(keyMask(inputs), inputs, meaning), segments, segments),
    nonPadding: meaning.encoderTokens(inputs),
  }
}

export function decoderMasks(batch: Batch, meaning: Meaning): StackMasks & { crossAttention: Tensor } {
  const {
    encoder_segment_ids: encoderSegments,
    decoder_segment_ids: segments,
    encoder_input_tokens: inputs,
    decoder_input_tokens: decoderInputs,
    decoder_target_tokens: targets,
  } = batch
  const causal = causalMask(targets.shape[1]) // [1, 1, query, key]
  const visible = meaning.hidesPaddingFromDecoder ? np.logicalAnd(causal, keyMask(targets)) : causal // [batch, 1, query, key]
  return {
    selfAttention: withinSegments(withoutPaddingQueries(visible, targets, meaning), segments, segments),
    crossAttention: withinSegments(withoutPaddingQueries(keyMask(inputs), targets, meaning), segments, encoderSegments),
    nonPadding: meaning.decoderTokens(decoderInputs, targets),
  }
}
