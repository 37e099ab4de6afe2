import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'

/** The randomness of a forward pass. Each call draws new numbers. */
export interface Noise {
  /**
   * Sets a share `rate` of x's elements to 0 and scales the remaining elements by 1 / (1 - rate). The mask is the same
   * along `sharedAxis`.
   */
  dropout(x: Tensor, rate: number, sharedAxis: number | null): Tensor
  /** x times uniform noise in [1 - amount, 1 + amount). */
  jitter(x: Tensor, amount: number): Tensor
  /** A new random key, for randomness of the caller's own; null if there is no randomness. */
  key(): Tensor | null
}

/** No randomness, for evaluation. */
export const noNoise: Noise = { dropout: x => x, jitter: x => x, key: () => null }

/**
 * Randomness from a key. The n-th call folds n into the key, so equal keys give equal passes. Where `dropoutActive`, a
 * bool of shape [], is false, dropout changes nothing; jitter is not affected.
 */
export function noiseFrom(key: Tensor, dropoutActive?: Tensor): Noise {
  let uses = 0
  const next = (): Tensor => random.foldIn(key, uses++)
  return {
    key: next,
    dropout(x, rate, sharedAxis) {
      if (rate === 0) return x
      const kept = random.bernoulli(
        next(),
        1 - rate,
        x.shape.map((d, axis) => (axis === sharedAxis ? 1 : d)),
      )
      const factor = np.where(kept, np.full([], 1 / (1 - rate), x.dtype), 0)
      return np.multiply(x, dropoutActive ? np.where(dropoutActive, factor, np.ones([], x.dtype)) : factor) // x's shape
    },
    jitter(x, amount) {
      if (amount === 0) return x
      return np.multiply(
        x,
        np.astype(random.uniform(next(), x.shape, { minval: 1 - amount, maxval: 1 + amount }), x.dtype),
      )
    },
  }
}
