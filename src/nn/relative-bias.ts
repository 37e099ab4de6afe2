import { check } from '../base/errors.js'
import { hostTensor } from '../base/host-tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'

export interface RelativePositions {
  /** At least 4. With an odd number, a bidirectional bias does not use the last bucket. */
  numBuckets: number
  /** Keys at this distance from their query or farther share the last bucket. */
  maxDistance: number
  /** Whether half of the buckets are for keys after the query (encoder). In the decoder those keys are masked. */
  bidirectional: boolean
  /** Added to the argument of the logarithm by which far distances get their bucket. */
  epsilon: number
}

/**
 * The bucket of a key `distance` positions after its query (Raffel et al. 2020, section 2.1). The first half of a
 * direction's buckets are for one distance each; the second half is for logarithmically growing ranges up to
 * `maxDistance`.
 */
export function relativePositionBucket(
  distance: number,
  { numBuckets, maxDistance, bidirectional, epsilon }: RelativePositions,
): number {
  const buckets = bidirectional ? Math.floor(numBuckets / 2) : numBuckets
  const offset = bidirectional && distance > 0 ? buckets : 0
  const away = bidirectional ? Math.abs(distance) : Math.max(-distance, 0)
  const exact = Math.floor(buckets / 2)
  if (away < exact) return offset + away
  // Rounded to float32 after each operation, as the references compute it. Otherwise a distance at the edge of two
  // buckets could get the other one.
  const ratio = Math.fround(Math.fround(away / exact) + epsilon)
  const share = Math.fround(Math.fround(Math.log(ratio)) / Math.fround(Math.log(maxDistance / exact)))
  const logarithmic = Math.fround(share * (buckets - exact))
  return offset + Math.min(exact + Math.trunc(logarithmic), buckets - 1)
}

/** The fewest buckets: two of single distances and two of ranges, or two for each direction. */
export const MIN_BUCKETS = 4

/** The most that `maxDistance` may be: `biasOfDistances` has a column for each distance. */
export const MAX_DISTANCE = 2 ** 16

/** Throws a ShapeError unless the settings of positions can be: see `relativePositionBias`. */
function checkPositions({ numBuckets, maxDistance }: RelativePositions): void {
  check(
    numBuckets >= MIN_BUCKETS,
    () => `there are ${numBuckets} relative position buckets: there must be at least ${MIN_BUCKETS}`,
  )
  check(
    Number.isInteger(maxDistance) && maxDistance > Math.floor(numBuckets / 2) && maxDistance <= MAX_DISTANCE,
    () =>
      `the largest relative distance is ${maxDistance}: it must be a whole number, more than half of the ${numBuckets} buckets and at most ${MAX_DISTANCE}`,
  )
}

/**
 * The bias that is added to attention scores: the element of a learned table [heads, buckets] for the bucket of each
 * query's and key's distance. Throws a ShapeError unless there are at least 4 buckets, and `maxDistance` is
 * a whole number beyond the buckets of single distances, at most `MAX_DISTANCE`.
 */
export function relativePositionBias(
  table: Tensor,
  queryLength: number,
  keyLength: number,
  positions: RelativePositions,
): Tensor {
  checkPositions(positions)
  const buckets = new Int32Array(queryLength * keyLength)
  for (let query = 0; query < queryLength; query++) {
    for (let key = 0; key < keyLength; key++)
      buckets[query * keyLength + key] = relativePositionBucket(key - query, positions)
  }
  const bias = np.take(table, np.fromHost(hostTensor('int32', [queryLength, keyLength], buckets)), 1, { mode: 'clip' }) // [heads, query, key]
  return np.reshape(np.astype(bias, 'float32'), [1, table.shape[0], queryLength, keyLength]) // [1, heads, query, key]
}

/**
 * The bias of each distance of a key from its query, [heads, distances], from a learned table [heads, buckets]. Column
 * i is the distance i - maxDistance; the last is maxDistance, or 0 where later keys are masked. Keys beyond the first
 * and the last column have those columns' biases, so this is enough for sequences of any length.
 */
export function biasOfDistances(table: Tensor, positions: RelativePositions): Tensor {
  checkPositions(positions)
  const { maxDistance, bidirectional } = positions
  const buckets = Int32Array.from({ length: (bidirectional ? 2 : 1) * maxDistance + 1 }, (_, i) =>
    relativePositionBucket(i - maxDistance, positions),
  )
  const bias = np.take(table, np.fromHost(hostTensor('int32', [buckets.length], buckets)), 1, { mode: 'clip' }) // [heads, distances]
  return np.astype(bias, 'float32') // [heads, distances]
}
