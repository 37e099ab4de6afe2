import { mix32 } from '../base/hash.js'

/**
 * Random numbers in [0, 1) with 53 random bits, always the same for a seed (splitmix32). The streams of one seed are
 * independent of each other.
 */
export function randomStream(seed: number, stream = 0): () => number {
  // mix32(0) is 0: the first stream depends on the seed alone.
  let state = mix32(seed ^ mix32(stream))
  const word = (): number => mix32((state = (state + 0x9e3779b9) | 0))
  return () => ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) / 2 ** 53
}
