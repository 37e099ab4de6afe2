/**
 * T5's noise functions: what becomes of an example's tokens in the inputs or the targets, given which of them are
 * noise. The sentinel is the vocabulary's last id, vocabSize - 1; unique sentinels count down from it, one a span. (T5
 * counts on into the ordinary ids if there are more spans than sentinels.)
 */
import { statelessShuffle, uniformFloat32, uniformInt32 } from '../../random/stateless.js'
import type { Seed } from '../../random/seed.js'

/** New tokens from `tokens` and the mask of their noise. It gets two seeds. */
export type NoiseFunction = (
  tokens: Int32Array,
  mask: Uint8Array,
  vocabSize: number,
  seeds: readonly Seed[],
) => Int32Array

// Table of contents: sentinels for tokens, sentinels for spans, dropping, random tokens.

/** Each noise token becomes the sentinel. */
export const noiseTokenToSentinel: NoiseFunction = (tokens, mask, vocabSize) =>
  tokens.map((token, i) => (mask[i] ? vocabSize - 1 : token))

/** Each noise span becomes one sentinel, the same for all. */
export const noiseSpanToSentinel: NoiseFunction = (tokens, mask, vocabSize) =>
  replaceSpans(tokens, mask, 1, vocabSize - 1, 0)

/** Each span without noise becomes one sentinel, the same for all. */
export const nonnoiseSpanToSentinel: NoiseFunction = (tokens, mask, vocabSize) =>
  replaceSpans(tokens, mask, 0, vocabSize - 1, 0)

/** The k-th noise span (k from 1) becomes the token vocabSize - k. */
export const noiseSpanToUniqueSentinel: NoiseFunction = (tokens, mask, vocabSize) =>
  replaceSpans(tokens, mask, 1, vocabSize - 1, 1)

/** The k-th span without noise (k from 1) becomes the token vocabSize - k. */
export const nonnoiseSpanToUniqueSentinel: NoiseFunction = (tokens, mask, vocabSize) =>
  replaceSpans(tokens, mask, 0, vocabSize - 1, 1)

/** The tokens that are not noise. */
export const dropNoiseTokens: NoiseFunction = (tokens, mask) => tokens.filter((_, i) => !mask[i])

/** The noise tokens. */
export const dropNonnoiseTokens: NoiseFunction = (tokens, mask) => tokens.filter((_, i) => mask[i])

/** The noise tokens are shuffled among their places, by seed 0. */
export const permuteNoiseTokens: NoiseFunction = (tokens, mask, vocabSize, seeds) => {
  const shuffled = statelessShuffle(dropNonnoiseTokens(tokens, mask, vocabSize, seeds), seeds[0])
  let next = 0
  return tokens.map((token, i) => (mask[i] ? shuffled[next++] : token))
}

/** Each noise token becomes a random token of the same example, by seed 0. */
export const noiseTokenToGatheredToken: NoiseFunction = (tokens, mask, _vocabSize, seeds) => {
  const indices = uniformInt32(seeds[0], tokens.length, 0, tokens.length)
  return tokens.map((token, i) => (mask[i] ? tokens[indices[i]] : token))
}

/** The ids of padding, EOS and unknown text, which no random token has. */
const RESERVED_TOKENS = 3

/** Each noise token becomes a random id of the vocabulary, by seed 0. Ids below `numReservedTokens` are left out. */
export function noiseTokenToRandomToken(
  tokens: Int32Array,
  mask: Uint8Array,
  vocabSize: number,
  seeds: readonly Seed[],
  { numReservedTokens = RESERVED_TOKENS }: { readonly numReservedTokens?: number } = {},
): Int32Array {
  const random = uniformInt32(seeds[0], tokens.length, numReservedTokens, vocabSize)
  return tokens.map((token, i) => (mask[i] ? random[i] : token))
}

/**
 * Each noise token becomes a random id with a probability of `randomProb` (seed 0; the id by seed 1), else the
 * sentinel.
 */
export function noiseTokenToRandomTokenOrSentinel(
  tokens: Int32Array,
  mask: Uint8Array,
  vocabSize: number,
  seeds: readonly Seed[],
  { randomProb = 0.1 }: { readonly randomProb?: number } = {},
): Int32Array {
  const random = noiseTokenToRandomToken(tokens, mask, vocabSize, seeds.slice(1))
  const probability = Math.fround(randomProb)
  const draws = uniformFloat32(seeds[0], tokens.length)
  return random.map((token, i) => (mask[i] && draws[i] >= probability ? vocabSize - 1 : token))
}

/**
 * The tokens in which each run of flags equal to `flag` became one token: `first` for the first run, and `step` less
 * for each following one.
 */
function replaceSpans(tokens: Int32Array, mask: Uint8Array, flag: number, first: number, step: number): Int32Array {
  const { length } = tokens
  let kept = 0
  for (let i = 0; i < length; i++) if (mask[i] !== flag || i === 0 || mask[i - 1] !== flag) kept++
  const result = new Int32Array(kept)
  let sentinel = first
  for (let i = 0, at = 0; i < length; i++) {
    if (mask[i] !== flag) {
      result[at++] = tokens[i]
    } else if (i === 0 || mask[i - 1] !== flag) {
      result[at++] = sentinel
      sentinel -= step
    }
  }
  return result
}
