import { PAD_ID } from '../../text/vocabulary.js'

/** Token ids of an example by feature, such as `inputs` and `targets`. */
export type TokenFields = { readonly [feature: string]: Int32Array }

/** The length in tokens of a row of each feature. */
export type FeatureLengths = { readonly [feature: string]: number }

/** The arrays of one packed feature. Elements that no segment covers are padding: 0 in every array. */
export interface SegmentArrays {
  readonly tokens: Int32Array
  /** Which segment of its row a token belongs to, from 1. */
  readonly segmentIds: Int32Array
  /** A token's place in its segment, from 0. Left out where nothing reads it. */
  readonly positions?: Int32Array
}

/** Writes a sequence as one segment that begins at element `at`. Returns the element after its end. */
export function writeSegment(arrays: SegmentArrays, at: number, sequence: Int32Array, segmentId: number): number {
  const end = at + sequence.length
  arrays.tokens.set(sequence, at)
  arrays.segmentIds.fill(segmentId, at, end)
  const { positions } = arrays
  if (positions) for (let i = at; i < end; i++) positions[i] = i - at
  return end
}

/** The number of tokens that are not padding. */
export function countTokens(tokens: Int32Array): number {
  let count = 0
  for (let i = 0; i < tokens.length; i++) if (tokens[i] !== PAD_ID) count++
  return count
}
