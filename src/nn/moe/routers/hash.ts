import { check } from '../../../base/errors.js'
import * as np from '../../../engine/api/np.js'
import type { Tensor } from '../../../engine/api/tensor.js'
import type { Router } from '../router.js'
import { assignFixed } from './positions.js'

/**
 * A token's id alone decides its expert, by a fixed hash, so that nothing is learned (Roller et al. 2021, "Hash Layers
 * For Large Sparse Models", section 3; the random hash). The gate is 1.
 */
export const hashTokens: Router = {
  name: 'hash',
  isBalanced: true,
  assign({ probabilities }, mask, capacity, { tokenIds }) {
    check(
      tokenIds !== null,
      'the hash router needs the ids of the tokens: pass the `tokenIds` of the layer with moeLayer, or use forward',
    )
    const experts = probabilities.shape[2]
    return assignFixed(hashedExpert(tokenIds!, experts), experts, mask, capacity)
  },
}

/** An expert for each id, from 0 to experts - 1: the finalizer of MurmurHash3, as `mix32` in base/hash.ts. */
export function hashedExpert(ids: Tensor, experts: number): Tensor {
  let h = np.astype(ids, 'uint32') // [groups, tokens]
  const shift = (bits: number): Tensor => np.bitwiseXor(h, np.rightShift(h, np.array(bits, 'uint32'))) // [groups, tokens]
  h = np.multiply(shift(16), np.array(0x85ebca6b, 'uint32')) // [groups, tokens]
  h = np.multiply(shift(13), np.array(0xc2b2ae35, 'uint32')) // [groups, tokens]
  return np.astype(np.remainder(shift(16), np.array(experts, 'uint32')), 'int32') // [groups, tokens]
}
