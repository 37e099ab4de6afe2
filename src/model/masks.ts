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

/** Hides padding keys, from where the keys are not padding [batch, length]. */
const keyMask = (present: Tensor): Tensor => alongKeys(present) // [batch, 1, 1, key]

/** Hides later keys from every query. */
const causalMask = (length: number): Tensor => np.tril(np.ones([1, 1, length, length], 'bool')) // [1, 1, query, key]

/**
 * Hides keys of other segments: examples that are packed into one row do not attend to each other. Segment ids are
 * [batch, length].
 */
function withinSegments(mask: Tensor, querySegments?: Tensor, keySegments?: Tensor): Tensor {
  if (!querySegments || !keySegments) return mask // [batch, 1, query, key]
  return np.logicalAnd(mask, np.equal(alongQueries(querySegments), alongKeys(keySegments))) // [batch, 1, query, key]
}

/**
 * Hides all keys from padding queries, if the implementation that is followed does so (see meaning.ts). `present`
 * [batch, query] is where the queries are not padding.
 */
const withoutPaddingQueries = (mask: Tensor, present: Tensor, meaning: Meaning): Tensor =>
  meaning.hidesKeysFromPadding ? np.logicalAnd(mask, alongQueries(present)) : mask // [batch, 1, query, key]

export type EncoderBatch = Pick<Batch, 'encoder_input_tokens' | 'encoder_segment_ids' | 'encoder_mask'>

/** Where inputs [batch, length] are not padding. */
const presentInputs = (
  { encoder_input_tokens: ids, encoder_segment_ids: segments, encoder_mask: mask }: EncoderBatch,
  padId: number,
): Tensor => mask ?? nonPaddingTokens(ids, segments, padId) // [batch, length], bool

export function encoderMasks(batch: EncoderBatch, meaning: Meaning, padId: number): StackMasks {
  const inputs = presentInputs(batch, padId) // [batch, length]
  const { encoder_segment_ids: segments } = batch
  return {
    selfAttention: withinSegments(withoutPaddingQueries(keyMask(inputs), inputs, meaning), segments, segments),
    nonPadding: meaning.encoderTokens(inputs),
  }
}

export function decoderMasks(batch: Batch, meaning: Meaning, padId: number): StackMasks & { crossAttention: Tensor } {
  const { encoder_segment_ids: encoderSegments, decoder_segment_ids: segments } = batch
  const inputs = presentInputs(batch, padId) // [batch, key]
  const targets = nonPaddingTokens(batch.decoder_target_tokens, segments, padId) // [batch, query]
  const decoderInputs = nonPaddingTokens(batch.decoder_input_tokens, undefined, padId) // [batch, query]
  const causal = causalMask(targets.shape[1]) // [1, 1, query, key]
  const visible = meaning.hidesPaddingFromDecoder ? np.logicalAnd(causal, keyMask(targets)) : causal // [batch, 1, query, key]
  return {
    selfAttention: withinSegments(withoutPaddingQueries(visible, targets, meaning), segments, segments),
    crossAttention: withinSegments(withoutPaddingQueries(keyMask(inputs), targets, meaning), segments, encoderSegments),
    nonPadding: meaning.decoderTokens(decoderInputs, targets),
  }
}
