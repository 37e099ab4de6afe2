import { expect, it } from 'vitest'
import type { Tensor } from './tensor.js'
import { debugNaNs } from './debug.js'
import * as np from './np.js'
import { grad } from './transforms.js'

const f = (x: Tensor): Tensor => np.sum(np.sqrt(np.add(x, 1)))

it('returns what the function does', async () => {
  expect(await (await debugNaNs(f)(np.array([0, 3]))).item()).toBe(3)
})

it('names the equation that made the first NaN', async () => {
  await expect(debugNaNs(f)(np.array([1, -5]))).rejects.toThrow('NaN came from sqrt(f32[2] from -4 to 2)')
  await expect(debugNaNs(grad(f))(np.array([1, -5]))).rejects.toThrow('NaN came from sqrt(')
})

it('takes bare numbers', async () => {
  await expect(debugNaNs((x: Tensor) => np.sqrt(x))(np.array(-5))).rejects.toThrow(
    'NaN came from sqrt(f32[] from -5 to -5)',
  )
})
