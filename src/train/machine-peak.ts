import { lazyPromise } from '../base/promise-cache.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import { hostView } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'

/** The measured product is of square matrices of this size: 2 GFLOP, which takes some ten milliseconds. */
const SIZE = 1024
const RUNS = 3

/**
 * The multiplications and additions per second of a large float32 matrix product on this machine: what a training step
 * can reach at most. Measured once in a process, in about 0.1 seconds.
 */
export const peakFlopsPerSecond: () => Promise<number> = lazyPromise(measure)

async function measure(): Promise<number> {
  const product = jit((x: Tensor, y: Tensor) => np.matmul(x, y))
  const x = np.full([SIZE, SIZE], 0.5)
  await hostView(product(x, x))
  let best = Infinity
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now()
    await hostView(product(x, x))
    best = Math.min(best, (performance.now() - start) / 1000)
  }
  return (2 * SIZE ** 3) / best
}
