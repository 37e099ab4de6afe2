import { PAD_ID } from '../../text/vocabulary.js'

/** Token ids by feature, such as `inputs` and `targets`: an example, or a row of a batch. */
export type TokenFields = { readonly [feature: string]: Int32Array }

/** The length in tokens of a row of each feature. */
export type FeatureLengths = { readonly [feature: string]: number }

/**
 * One feature of a packed row: `sequences` one after the other, then padding. The result has the tokens under `name`,
 * and under `NAME_segment_ids` the sequence of each token, from 1, and under `NAME_positions` its place in the
 * sequence, from 0. Both are 0 for padding, whose tokens are `padId`.
 */
export function layOut(name: string, sequences: readonly Int32Array[], length: number, padId = PAD_ID): TokenFields {
  const tokens = new Int32Array(length)
  if (padId !== 0) tokens.fill(padId)
  const segmentIds = new Int32Array(length)
  const positions = new Int32Array(length)
  let at = 0
  sequences.forEach((sequence, k) => {
    tokens.set(sequence, at)
    segmentIds.fill(k + 1, at, at + sequence.length)
    for (let i = 0; i < sequence.length; i++) positions[at++] = i
  })
  return { [name]: tokens, [`${name}_segment_ids`]: segmentIds, [`${name}_positions`]: positions }
}

/** The number of tokens that are not padding. */
export function countTokens(tokens: Int32Array, padId = PAD_ID): number {
  let count = 0
  for (let i = 0; i < tokens.length; i++) if (tokens[i] !== padId) count++
  return count
}
