import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import type { Reference } from './config.js'
import type { Batch } from './types.js'

/** What one stack may look at. Attention masks are broadcast to [batch, 1, query, key]. */
export interface StackMasks {
  selfAttention: Tensor
  /** The tokens that are no padding; null: padding is a token like any other (HF). */
  tokens: Tensor | null // [batch, length], bool
}

const isToken = (ids: Tensor): Tensor => np.greater(ids, 0) // [batch, length]
const alongQueries = (x: Tensor): Tensor => np.expandDims(x, [1, 3]) // [batch, 1, query, 1]
const alongKeys = (x: Tensor): Tensor => np.expandDims(x, [1, 2]) // [batch, 1, 1, key]

/** The keys that are no padding. */
export const keyMask = (ids: Tensor): Tensor => alongKeys(isToken(ids)) // [batch, 1, 1, key]

/** No query sees a later key. */
export const causalMask = (length: number): Tensor => np.tril(np.ones([1, 1, length, length], 'bool')) // [1, 1, query, key]

/** Narrows a mask: packed examples do not see each other, and T5X's padding sees nothing. (Who else's does is of no account.) */
function narrow(
  mask: Tensor,
  queries: Tensor,
  reference: Reference,
  querySegments?: Tensor,
  keySegments?: Tensor,
): Tensor {
  const seeing = reference === 't5x' ? np.logicalAnd(mask, alongQueries(isToken(queries))) : mask // [batch, 1, query, key]
  if (!querySegments || !keySegments) return seeing
  return np.logicalAnd(seeing, np.equal(alongQueries(querySegments), alongKeys(keySegments))) // [batch, 1, query, key]
}

export type EncoderBatch = Pick<Batch, 'encoder_input_tokens' | 'encoder_segment_ids'>

export function encoderMasks(
  { encoder_input_tokens: inputs, encoder_segment_ids: segments }: EncoderBatch,
  reference: Reference,
): StackMasks {
  return {
    selfAttention: narrow(keyMask(inputs), inputs, reference, segments, segments),
    tokens: reference === 'hf' ? null : isToken(inputs),
  }
}

export function decoderMasks(batch: Batch, reference: Reference): StackMasks & { crossAttention: Tensor } {
  const {
    encoder_segment_ids: encoderSegments,
    decoder_segment_ids: segments,
    encoder_input_tokens: inputs,
    decoder_target_tokens: targets,
  } = batch
  const causal = causalMask(targets.shape[1]) // [1, 1, query, key]
  // Padding stands behind all that is real, so that the causal mask alone hides it; T5X hides it twice.
  const visible = reference === 't5x' ? np.logicalAnd(causal, keyMask(targets)) : causal // [batch, 1, query, key]
  return {
    selfAttention: narrow(visible, targets, reference, segments, segments),
    crossAttention: narrow(keyMask(inputs), targets, reference, segments, encoderSegments),
    tokens:
      reference === 'hf' ? null : reference === 't5x' ? t5xDecoderTokens(batch.decoder_input_tokens) : isToken(targets),
  }
}

/** T5X counts a decoder position as a token if it is the first, or its input or the next one is none of padding. */
function t5xDecoderTokens(inputs: Tensor): Tensor {
  const real = isToken(inputs) // [batch, length]
  const next = np.pad(
    real.get(':', np.slice(1)),
    [
      [0, 0],
      [0, 1],
    ],
    false,
  ) // [batch, length]
  const first = np.equal(np.arange(inputs.shape[1]), 0) // [length]
  return np.logicalOr(first, np.logicalOr(real, next)) // [batch, length]
}
