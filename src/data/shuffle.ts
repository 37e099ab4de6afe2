import { HASH_SEED, mix32 } from '../base/hash.js'

/**
 * A permutation of the integers below `length` that depends only on `seed` and `epoch` (Fisher-Yates, by splitmix32).
 */
export function shuffledIndices(length: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i)
  let state = mix32(mix32(seed ^ HASH_SEED) + epoch)
  for (let i = length - 1; i > 0; i--) {
    state = (state + 0x9e3779b9) | 0
    const j = Math.floor((mix32(state) / 2 ** 32) * (i + 1))
    const swapped = order[i]
    order[i] = order[j]
    order[j] = swapped
  }
  return order
}
