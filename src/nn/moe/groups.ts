import { roundHalfEven } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'

/** How a batch of tokens is divided into groups, within which experts have a capacity. */
export interface TokenGroups {
  /** The batch with the rows and positions of zeros that were added so that the groups come out even. */
  readonly batch: number
  readonly length: number
  readonly numGroups: number
  readonly tokensPerGroup: number
}

/**
 * T5X's groups: zeros are added until the experts divide the number of tokens (whole rows, or whole positions if those
 * are not more); then the fewest groups of at most `maxGroupSize` tokens that the experts divide.
 */
export function evenGroups(batch: number, length: number, numExperts: number, maxGroupSize: number): TokenGroups {
  const padded = padToMultiple(batch, length, numExperts)
  const tokens = padded.batch * padded.length
  let numGroups = Math.max(Math.floor(tokens / maxGroupSize), numExperts)
  while (tokens % numGroups !== 0 || numGroups % numExperts !== 0) numGroups++
  return { ...padded, numGroups, tokensPerGroup: tokens / numGroups }
}

function padToMultiple(batch: number, length: number, divisor: number): { batch: number; length: number } {
  if ((batch * length) % divisor === 0) return { batch, length }
  let rows = 1
  while (((batch + rows) * length) % divisor !== 0) rows++
  let positions = 1
  while ((batch * (length + positions)) % divisor !== 0) positions++
  return positions * batch <= rows * length ? { batch, length: length + positions } : { batch: batch + rows, length }
}

/**
 * The fewest groups of at most `maxGroupSize` tokens that divide the batch: the larger a group, the fewer tokens find no room.
 * Throws a ShapeError where they would be much smaller than they may be.
 */
export function fewestGroups(batch: number, length: number, maxGroupSize: number): TokenGroups {
  const tokens = batch * length
  const fewest = Math.ceil(tokens / maxGroupSize)
  let numGroups = fewest
  while (tokens % numGroups !== 0) numGroups++
  check(
    numGroups <= 4 * fewest,
    () =>
      `a batch of ${batch} x ${length} tokens cannot be divided evenly into groups of about ${maxGroupSize}: ` +
      'choose another number of rows, or a router.maxGroupSize of at least as many tokens',
  )
  return { batch, length, numGroups, tokensPerGroup: tokens / numGroups }
}

/** Each sequence is a group, as in HF. */
export const sequenceGroups = (batch: number, length: number): TokenGroups => ({
  batch,
  length,
  numGroups: batch,
  tokensPerGroup: length,
})

/** All tokens are one group: for routing without capacity, where groups do not matter. */
export const oneGroup = (batch: number, length: number): TokenGroups => ({
  batch,
  length,
  numGroups: 1,
  tokensPerGroup: batch * length,
})

/**
 * How many tokens of a group an expert takes: its fair share times a factor (Switch Transformers, equation 3), rounded half
 * to even as Python rounds.
 */
export const expertCapacity = (factor: number, tokensPerGroup: number, numExperts: number, minimum: number): number =>
  Math.max(roundHalfEven((factor * tokensPerGroup) / numExperts), minimum)

/** Arranges x [batch, length, ...] by groups, with zeros added. */
export function toGroups(x: Tensor, { batch, length, numGroups, tokensPerGroup }: TokenGroups): Tensor {
  const [rows, positions, ...rest] = x.shape
  const padded =
    batch === rows && length === positions
      ? x
      : np.pad(x, [[0, batch - rows], [0, length - positions], ...rest.map(() => [0, 0] as const)])
  return np.reshape(padded, [numGroups, tokensPerGroup, ...rest]) // [groups, tokens, ...]
}

/** The inverse of `toGroups`, to [batch, length, ...] as they were; x has a row for each token of each group. */
export function fromGroups(x: Tensor, groups: TokenGroups, batch: number, length: number): Tensor {
  const padded = np.reshape(x, [groups.batch, groups.length, -1])
  return padded.get(np.slice(0, batch), np.slice(0, length)) // [batch, length, dModel]
}
