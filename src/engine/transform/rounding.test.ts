import { expect, it } from 'vitest'
import { jit } from '../api/jit.js'
import * as lax from '../api/lax.js'
import * as np from '../api/np.js'
import * as random from '../api/random.js'
import type { Tensor } from '../api/tensor.js'
import { vmap } from '../api/vmap.js'

/** How many elements of two arrays are not the same number. */
async function differences(a: Tensor, b: Tensor): Promise<number> {
  const [x, y] = [await a.numbers(), await b.numbers()]
  expect(x.length).toBe(y.length)
  return [...x].filter((v, i) => !Object.is(v, y[i])).length
}

// On the default backend, where each call outside of `jit` is a program of its own.
it.each<[string, (x: Tensor) => Tensor]>([
  ['np.power(x, 2)', x => np.power(x, 2)],
  ['np.floatPower(x, 2)', x => np.floatPower(x, 2)],
  ['x.pow(2)', x => x.pow(2)],
  ['lax.pow(x, 2)', x => lax.pow(x, 2)],
  ['np.power(x, np.full(x.shape, 2))', x => np.power(x, np.full(x.shape, 2))],
  ['np.power(x, np.array(3))', x => np.power(x, np.array(3))],
  ['np.power(x, 3)', x => np.power(x, 3)],
  ['np.power(x, 4)', x => np.power(x, 4)],
  ['np.power(x, 1)', x => np.power(x, 1)],
  ['x + 0, x * 1, x / 1, -(-x)', x => np.negative(np.negative(np.divide(np.multiply(np.add(x, 0), 1), 1)))],
  ['a product', x => np.matmul(x, np.reshape(x, [256, 16]))],
])('%s rounds alike alone, in a batch and compiled', async (_, f) => {
  const x = random.normal(random.key(3), [16, 256])
  const alone = f(x)
  expect(await differences(alone, jit(f)(x))).toBe(0)
  expect(await differences(alone, np.squeeze(vmap(f)(np.reshape(x, [1, 16, 256])), 0))).toBe(0)
})

it('the square of a number is exactly its product with itself', async () => {
  const x = random.normal(random.key(3), [65536])
  expect(await differences(np.power(x, 2), np.multiply(x, x))).toBe(0)
})

it.each([
  [33, 257, 65],
  [1, 300, 17],
  [64, 512, 64],
])('a transposed product of [%i, %i, %i] differs in the last bits at most', async (rows, inner, columns) => {
  const [a, b] = [random.normal(random.key(1), [rows, inner]), random.normal(random.key(2), [inner, columns])]
  const f = (x: Tensor, y: Tensor): Tensor => np.matmul(np.transpose(y), np.transpose(x))
  const [alone, compiled] = [await f(a, b).numbers(), await jit(f)(a, b).numbers()]
  const bound = inner * 2 ** -24 * 30 // The usual bound of a sum's rounding, n u max |terms|.
  alone.forEach((v, i) => expect(Math.abs(Number(v) - Number(compiled[i]))).toBeLessThan(bound))
})
