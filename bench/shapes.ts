/**
 * Measures the memory of a long-lived process that gets new shapes again and again. Run it by
 * `node --expose-gc bench/dist/bench/shapes.js [SHAPES]`. One jitted function and one operation outside jit run at each
 * shape; the resident memory must not grow once the caches are full.
 */
import { defaultEngine } from '../src/engine/api/engine.js'
import { jit } from '../src/engine/api/jit.js'
import type { Tensor } from '../src/engine/api/tensor.js'
import * as np from '../src/engine/api/np.js'

const shapes = Number(process.argv[2] ?? 10_000)
const f = jit((x: Tensor) => np.sum(np.tanh(np.add(np.multiply(x, 2), 1))))
const start = performance.now()
for (let n = 1; n <= shapes; n++) {
  const x = np.ones([n])
  await f(x).item()
  if (n % (shapes / 10) > 0) continue
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  console.log(
    `${n} shapes  ${defaultEngine().numPrograms} programs  ${Math.round(rss / 2 ** 20)} MB resident  ` +
      `${Math.round(heapUsed / 2 ** 20)} MB of JavaScript  ${Math.round(performance.now() - start)} ms`,
  )
}
