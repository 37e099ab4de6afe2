import { roundHalfEven } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'

/**
 * The division of a batch of tokens into groups of equal size. An expert's capacity applies to each group by itself.
 */
export interface TokenGroups {
  /** The batch's shape after rows or positions of zeros were added to make the groups equal. */
  readonly batch: number
  readonly length: number
  readonly numGroups: number
  readonly tokensPerGroup: number
  /** Whether it is one group of the tokens of all devices, of which each device has some. Default: false. */
  readonly spansDevices?: boolean
}

/**
 * Flaxformer's groups (`_maybe_pad` and `_num_groups` in moe/moe_layers.py). Rows or positions of zeros, whichever are
 * fewer tokens, are added until the number of tokens is a multiple of `numExperts`. The number of groups is the
 * smallest multiple of `numExperts` that divides the tokens into groups of at most about `maxGroupSize`.
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
 * The smallest number of equal groups of at most `maxGroupSize` tokens. (A larger group drops fewer tokens.) Throws a
 * ShapeError if that needs more than four times as many groups as an uneven division.
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

/** One group for each sequence, as in Hugging Face transformers. */
export const sequenceGroups = (batch: number, length: number): TokenGroups => ({
  batch,
  length,
  numGroups: batch,
  tokensPerGroup: length,
})

/**
 * One group of all tokens, also those of other devices, for routing without capacity, where the division has no effect.
 */
export const oneGroup = (batch: number, length: number): TokenGroups => ({
  batch,
  length,
  numGroups: 1,
  tokensPerGroup: batch * length,
  spansDevices: true,
})

/**
 * The number of a group's tokens that an expert takes: an equal share times a factor (Switch Transformers, equation 3),
 * rounded half to even as in Python.
 */
export const expertCapacity = (factor: number, tokensPerGroup: number, numExperts: number, minimum: number): number =>
  Math.max(roundHalfEven((factor * tokensPerGroup) / numExperts), minimum)

/** Divides x [batch, length, ...] into groups, after zeros are added. */
export function toGroups(x: Tensor, { batch, length, numGroups, tokensPerGroup }: TokenGroups): Tensor {
  const [rows, positions, ...rest] = x.shape
  const padded =
    batch === rows && length === positions
      ? x
      : np.pad(x, [[0, batch - rows], [0, length - positions], ...rest.map(() => [0, 0] as const)]) // [padded batch, padded length, ...]
  return np.reshape(padded, [numGroups, tokensPerGroup, ...rest]) // [groups, tokens, ...]
}

/** The inverse of `toGroups`: x [groups * tokens, dModel] without the added zeros. */
export function fromGroups(x: Tensor, groups: TokenGroups, batch: number, length: number): Tensor {
  const padded = np.reshape(x, [groups.batch, groups.length, -1]) // [padded batch, padded length, dModel]
  return padded.get(np.slice(0, batch), np.slice(0, length)) // [batch, length, dModel]
}
