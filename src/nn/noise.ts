import type { Array } from '../engine/api/array.js'

/** The randomness of a forward pass: each use draws anew. */
export interface Noise {
  /** Zeroes a share `rate` of x and scales the rest to keep the mean; the mask is the same along `sharedAxis`. */
  dropout(x: Array, rate: number, sharedAxis: number): Array
  /** x times uniform noise in [1 - amount, 1 + amount]. */
  jitter(x: Array, amount: number): Array
}

/** No randomness: evaluation. */
export const noNoise: Noise = { dropout: x => x, jitter: x => x }
