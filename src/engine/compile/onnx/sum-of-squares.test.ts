import { expect, it } from 'vitest'
import type { Tensor } from '../../api/tensor.js'
import { jit } from '../../api/jit.js'
import * as np from '../../api/np.js'

it('sums the squares of a large array to six digits', async () => {
  const length = 2 ** 20
  const x = np.multiply(np.sin(np.arange(0, length, 1, 'float32')), 0.01)
  const values = await x.numbers()
  const exact = values.reduce((sum, v) => sum + v * v, 0)
  const computed = await jit((v: Tensor) => np.sum(np.square(v)))(x).item()
  expect(Math.abs(Number(computed) / exact - 1)).toBeLessThan(1e-6)
})
