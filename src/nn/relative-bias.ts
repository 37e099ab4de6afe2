import { hostTensor } from '../base/host-tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'

export interface RelativePositions {
  numBuckets: number
  /** Keys at this distance or farther share the last bucket. */
  maxDistance: number
  /** Whether keys after the query have buckets of their own (encoder), or none (decoder: they are masked). */
  bidirectional: boolean
}

/**
 * The bucket of a key `distance` positions after its query (Raffel et al. 2020, section 2.1): one for each small distance,
 * then logarithmically wider ones.
 */
export function relativePositionBucket(
  distance: number,
  { numBuckets, maxDistance, bidirectional }: RelativePositions,
): number {
  const buckets = bidirectional ? numBuckets / 2 : numBuckets
  const offset = bidirectional && distance > 0 ? buckets : 0
  const away = bidirectional ? Math.abs(distance) : Math.max(-distance, 0)
  const exact = Math.floor(buckets / 2)
  if (away < exact) return offset + away
  // float32 and its epsilon, as the references compute it: a distance on the edge of two buckets is in the farther one.
  const ratio = Math.fround(Math.fround(away / exact) + 2 ** -23)
  const logarithmic = Math.fround(
    Math.fround(Math.fround(Math.log(ratio)) / Math.log(maxDistance / exact)) * (buckets - exact),
  )
  return offset + Math.min(exact + Math.trunc(logarithmic), buckets - 1)
}

/** The bias that is added to attention scores, from a learned table [heads, buckets] and the distance of key and query. */
export function relativePositionBias(
  table: Tensor,
  queryLength: number,
  keyLength: number,
  positions: RelativePositions,
): Tensor {
  const buckets = new Int32Array(queryLength * keyLength)
  for (let query = 0; query < queryLength; query++) {
    for (let key = 0; key < keyLength; key++)
      buckets[query * keyLength + key] = relativePositionBucket(key - query, positions)
  }
  const bias = np.take(table, np.fromHost(hostTensor('int32', [queryLength, keyLength], buckets)), 1) // [heads, query, key]
  return np.reshape(np.astype(bias, 'float32'), [1, table.shape[0], queryLength, keyLength]) // [1, heads, query, key]
}
