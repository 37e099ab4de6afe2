import type { Array } from '../engine/api/array.js'
import * as np from '../engine/api/np.js'
import type { Reference } from './config.js'
import type { Batch } from './types.js'

/** What one stack may look at. Attention masks are broadcast to [batch, 1, query, key]. */
export interface StackMasks {
  selfAttention: Array
  /** The tokens that are no padding; null: padding is a token like any other (HF). */
  tokens: Array | null // [batch, length], bool
}

const axisOf = (x: Array, axis: 'query' | 'key'): Array =>
  np.reshape(x, axis === 'query' ? [x.shape[0], 1, x.shape[1], 1] : [x.shape[0], 1, 1, x.shape[1]])

/** The keys that are no padding, for queries that are none either (T5X) or for any (a padded query's row is never used). */
function seesKeys(queries: Array, keys: Array, reference: Reference): Array {
  return reference === 't5x' ? np.logicalAnd(axisOf(queries, 'query'), axisOf(keys, 'key')) : axisOf(keys, 'key')
}

/** Keeps the examples of a packed row apart. */
function withinSegments(mask: Array, queries: Array | undefined, keys: Array | undefined): Array {
  return queries && keys ? np.logicalAnd(mask, np.equal(axisOf(queries, 'query'), axisOf(keys, 'key'))) : mask
}

/** Which query positions see which key positions, when none may see a later one. */
export const causalMask = (length: number): Array =>
  np.greaterEqual(np.reshape(np.arange(length), [length, 1]), np.reshape(np.arange(length), [1, length])) // [query, key]

const isToken = (ids: Array): Array => np.greater(ids, 0)

export type EncoderBatch = Pick<Batch, 'encoder_input_tokens' | 'encoder_segment_ids'>

export function encoderMasks(batch: EncoderBatch, reference: Reference): StackMasks {
  const tokens = isToken(batch.encoder_input_tokens) // [batch, length]
  const { encoder_segment_ids: segments } = batch
  return {
    selfAttention: withinSegments(seesKeys(tokens, tokens, reference), segments, segments),
    tokens: reference === 'hf' ? null : tokens,
  }
}

export function decoderMasks(batch: Batch, reference: Reference): StackMasks & { crossAttention: Array } {
  const { encoder_segment_ids: encoderSegments, decoder_segment_ids: segments } = batch
  const inputs = isToken(batch.encoder_input_tokens) // [batch, encoder length]
  const targets = isToken(batch.decoder_target_tokens) // [batch, decoder length]
  const causal = causalMask(targets.shape[1]) // [query, key]
  return {
    // Padding stands behind all that is real: the causal mask alone hides it, and T5X hides it twice.
    selfAttention: withinSegments(reference === 't5x' ? np.logicalAnd(causal, seesKeys(targets, targets, reference)) : np.reshape(causal, [1, 1, ...causal.shape]), segments, segments),
    crossAttention: withinSegments(seesKeys(targets, inputs, reference), segments, encoderSegments),
    tokens: reference === 'hf' ? null : reference === 't5x' ? t5xDecoderTokens(batch.decoder_input_tokens) : targets,
  }
}

/** T5X counts a decoder position as a token if it is the first, or its input or the next one is none of padding. */
function t5xDecoderTokens(inputs: Array): Array {
  const [batch, length] = inputs.shape
  const real = isToken(inputs) // [batch, length]
  const next = np.logicalAnd(np.take(real, np.add(np.arange(length), 1), 1), np.less(np.arange(length), length - 1)) // [batch, length]
  const first = np.broadcastTo(np.equal(np.arange(length), 0), [batch, length]) // [batch, length]
  return np.logicalOr(first, np.logicalOr(real, next))
}
