import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { fromHost, releaseArrays } from './tensor.js'
import type { Tensor } from './tensor.js'
import { TensorType } from './eval-shape.js'
import * as np from './np.js'
import { specialize } from './specialize.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

async function megabytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect()
    await sleep(20)
  }
  return process.memoryUsage().arrayBuffers / 1e6
}

// In a file of its own: other tests' garbage would be counted.
it('nothing is kept of weights that are released', async () => {
  const types = (n: number): TensorType[] => [new TensorType('float32', [n, 1024])]
  const f = specialize((w: Tensor, x: Tensor) => np.matmul(x, w), [types(3), types(101), types(1009)])
  const without = await megabytes()
  const kernel = fromHost({ dtype: 'float32', shape: [1024, 16_384], data: new Float32Array(2 ** 24).fill(1) })
  expect((await megabytes()) - without).toBeGreaterThan(60)
  releaseArrays(await f.prepare(kernel), 'a test')
  expect((await f(kernel, np.ones([2, 1024])).numbers())[0]).toBe(1024)
  expect((await megabytes()) - without).toBeLessThan(10)
})
