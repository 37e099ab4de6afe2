/** Pooling: one vector for each sequence, from the vectors of its tokens. As sentence-transformers defines it. */
import * as np from '../engine/api/np.js'
import type { Tensor } from '../engine/api/tensor.js'

/**
 * A way of pooling, by sentence-transformers' name:
 *
 * - `cls` and `lasttoken`: the first and the last token;
 * - `max`: the maximum of each element;
 * - `mean`: the mean; `mean_sqrt_len_tokens`: the sum divided by the square root of the number of tokens;
 * - `weightedmean`: the mean in which the token at position i, counted from 1, has weight i.
 */
export const poolingModes = ['cls', 'max', 'mean', 'mean_sqrt_len_tokens', 'weightedmean', 'lasttoken'] as const
export type PoolingMode = (typeof poolingModes)[number]

/**
 * Pools x [batch, length, d] over the tokens at which `mask` [batch, length] is true: [batch, d] in float32. A sequence
 * without such tokens has the vector 0; its `max` is -Infinity, and its `cls` the vector at position 0.
 */
export function pool(mode: PoolingMode, x: Tensor, mask: Tensor): Tensor {
  const length = mask.shape[1]
  const wide = np.astype(x, 'float32') // [batch, length, d]
  const weights = np.astype(mask, 'float32') // [batch, length]
  const sumOf = (w: Tensor): Tensor => np.sum(np.multiply(wide, np.expandDims(w, 2)), 1) // [batch, d]
  const positions = np.arange(length) // [length]
  const atPosition = (position: Tensor): Tensor => np.equal(positions, np.expandDims(position, 1)) // [batch, length]
  const meanOf = (w: Tensor): Tensor => np.divide(sumOf(w), atLeast(np.sum(w, { axis: 1, keepdims: true }))) // [batch, d]
  switch (mode) {
    case 'cls':
      return sumOf(np.astype(atPosition(np.argmax(np.astype(mask, 'int32'), 1)), 'float32')) // [batch, d]
    case 'lasttoken': {
      const last = np.max(np.where(mask, positions, -1), 1) // [batch], -1 without tokens
      return sumOf(np.astype(atPosition(last), 'float32')) // [batch, d]
    }
    case 'max':
      return np.max(np.where(np.expandDims(mask, 2), wide, -Infinity), 1) // [batch, d]
    case 'mean':
      return meanOf(weights) // [batch, d]
    case 'mean_sqrt_len_tokens':
      return np.divide(sumOf(weights), np.sqrt(atLeast(np.sum(weights, { axis: 1, keepdims: true })))) // [batch, d]
    case 'weightedmean':
      return meanOf(np.multiply(weights, np.astype(np.add(positions, 1), 'float32'))) // [batch, d]
  }
}

/** A divisor that is not 0, as in sentence-transformers. */
const atLeast = (x: Tensor): Tensor => np.maximum(x, 1e-9)
