import type { Tensor } from '../../../engine/api/tensor.js'
import * as np from '../../../engine/api/np.js'
import type { Assignment } from '../router.js'

/** Which choices are kept, by their position among their expert's choices; -1 is a token that is not routed. */
export const hasCapacity = (position: Tensor, capacity: Tensor | number): Tensor =>
  np.logicalAnd(np.greaterEqual(position, 0), np.less(position, capacity)) // position's shape

/**
 * Which choices are kept, if tokens choose. Without a capacity (null) these are all choices of routed tokens: then a
 * program that does not return the positions need not compute them.
 */
export const keptChoices = (position: Tensor, mask: Tensor | null, capacity: number | null): Tensor =>
  capacity === null
    ? np.broadcastTo(np.expandDims(presence(mask, position.shape.slice(0, 2)), 2), position.shape) // [groups, tokens, choices]
    : hasCapacity(position, capacity) // [groups, tokens, choices]

/** Where tokens are routed, as a bool of the given shape [groups, tokens]. */
export const presence = (mask: Tensor | null, shape: readonly number[]): Tensor => mask ?? np.ones(shape, 'bool') // [groups, tokens]

/**
 * The assignment of tokens that each have one expert (int32 [groups, tokens]) that was not chosen by its probability:
 * experts take tokens in their order, and the gate is 1. `mask` and `capacity` are those of `Router.assign`.
 */
export function assignFixed(
  expert: Tensor,
  numExperts: number,
  mask: Tensor | null,
  capacity: number | null,
): Assignment {
  const chosen = np.oneHot(expert, numExperts, { dtype: 'int32' }) // [groups, tokens, experts]
  const counted = mask ? np.where(np.expandDims(mask, 2), chosen, 0) : chosen // [groups, tokens, experts]
  const rank = np.sum(np.multiply(np.cumsum(counted, 1), counted), { axis: 2, keepdims: true }) // [groups, tokens, 1]
  const position = np.subtract(rank, 1) // [groups, tokens, 1]
  const kept = keptChoices(position, mask, capacity) // [groups, tokens, 1]
  return {
    expert: np.expandDims(expert, 2),
    position,
    kept,
    gate: np.astype(kept, 'float32'),
    choice: np.astype(counted, 'float32'),
  }
}
