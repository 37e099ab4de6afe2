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
  /** How many calls drew numbers so far. */
  readonly calls: number
  /** The same randomness from another call on: a number, or an integer scalar that a loop counts. */
  from(call: number | Tensor): Noise
  /** Leaves out this many calls, which were made through `from`. */
  skip(calls: number): void
}

/** No randomness, for evaluation. */
export const noNoise: Noise = {
  dropout: x => x,
  jitter: x => x,
  key: () => null,
  calls: 0,
  from: () => noNoise,
  skip: () => undefined,
}

/**
 * Randomness from a key. The n-th call folds n into the key, so equal keys give equal passes. Where `dropoutActive`, a
 * bool of shape [], is false, dropout changes nothing; jitter is not affected. `first`: the number of the first call.
 */
export function noiseFrom(key: Tensor, dropoutActive?: Tensor, first: number | Tensor = 0): Noise {
  let calls = 0
  const next = (): Tensor => {
    const n = calls++
    return random.foldIn(key, typeof first === 'number' ? first + n : np.add(first, n))
  }
  return {
    key: next,
    get calls() {
      return calls
    },
    from: call => noiseFrom(key, dropoutActive, call),
    skip(n) {
      calls += n
    },
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
