import { describe, expect, it } from 'vitest'
import type { Tensor } from '../api/tensor.js'
import { assertMaxTraces, jit } from '../api/jit.js'
import * as np from '../api/np.js'
import { makeProgram } from '../api/transforms.js'
import { Engine } from './engine.js'
import { referenceBackend } from './reference/backend.js'

const sgd = (p: Tensor, g: Tensor): Tensor => np.subtract(p, np.multiply(g, 0.5))

describe('Engine', () => {
  it('updates donated arrays in place, with the result of a copy', async () => {
    const [p, g] = [np.array([1, 2, 3, 4, 5]), np.array([1, 1, 2, 2, 4])]
    const plain = jit(sgd)(p, g)
    const q = jit(sgd, { donate: [0] })(p, g)
    expect(await q.numbers()).toEqual([0.5, 1.5, 2, 3, 3])
    expect(await plain.numbers()).toEqual([0.5, 1.5, 2, 3, 3])
    expect(() => np.add(p, 1)).toThrow('was donated to sgd')
    await expect(p.data()).rejects.toThrow('use what that returned')
    expect(await g.numbers()).toEqual([1, 1, 2, 2, 4])
  })

  it('returns what the update also reads, for good', async () => {
    const step = jit(
      (p: Tensor, x: Tensor): [Tensor, Tensor] => {
        const gradient = np.matmul(p, x)
        return [np.subtract(p, np.multiply(gradient, 0.1)), gradient]
      },
      { donate: [0] },
    )
    let p = np.ones([2, 4])
    const gradients: Tensor[] = []
    for (let i = 0; i < 3; i++) {
      const [next, gradient] = step(p, np.eye(4))
      p = next
      gradients.push(gradient)
    }
    expect(await gradients[0].numbers()).toEqual(Array(8).fill(1))
  })

  it('skips an update by a bool, given or computed', async () => {
    const step = jit((p: Tensor, g: Tensor, ok: Tensor): Tensor => np.where(ok, np.subtract(p, g), p), { donate: [0] })
    expect(await step(np.array([1, 2, 3]), np.array([1, 1, 1]), np.array(true)).numbers()).toEqual([0, 1, 2])
    expect(await step(np.array([1, 2, 3]), np.array([1, 1, 1]), np.array([true, false, true])).numbers()).toEqual([
      0, 2, 2,
    ])
    const clip = jit(
      (p: Tensor, g: Tensor): [Tensor, Tensor] => [np.where(np.greater(g, 0), np.subtract(p, g), p), np.greater(p, g)],
      { donate: [0] },
    )
    const [q, larger] = clip(np.array([1, 2, 3]), np.array([2, -1, 1]))
    expect([await q.numbers(), await larger.numbers()]).toEqual([
      [-1, 2, 2],
      [0, 1, 1],
    ])
  })

  it('returns a result twice as two arrays', async () => {
    const [a, b] = jit((p: Tensor, g: Tensor): [Tensor, Tensor] => [np.subtract(p, g), np.subtract(p, g)], {
      donate: [0],
    })(np.array([3, 3]), np.array([1, 2]))
    jit(sgd, { donate: [0] })(a, np.array([100, 100]))
    expect(await b.numbers()).toEqual([2, 1])
  })

  it('gives data that later updates leave alone', async () => {
    const update = jit(sgd, { donate: [0] })
    const p = update(np.array([1, 2]), np.array([0, 0]))
    const { data } = await p.data()
    await update(p, np.array([2, 2])).data()
    expect(Array.from(data as Float32Array)).toEqual([1, 2])
  })

  it('refuses one array in two places if one is donated', () => {
    const p = np.array([1, 2])
    expect(() => jit(sgd, { donate: [0] })(p, p)).toThrow('the same f32[2] twice')
  })

  it('writes donated memory after everything that was to read it', async () => {
    const update = jit(sgd, { donate: [0] })
    let p = np.zeros([1000])
    const seen: Tensor[] = []
    for (let i = 0; i < 20; i++) {
      seen.push(np.sum(p))
      p = update(p, np.full([1000], -2))
    }
    expect(await Promise.all(seen.map(s => s.item()))).toEqual(seen.map((_, i) => i * 1000))
    expect(await np.sum(p).item()).toBe(20_000)
  })

  it('keeps the programs that were used last', async () => {
    let compiled = 0
    const engine = new Engine(
      {
        ...referenceBackend,
        compile: (...args) => {
          compiled++
          return referenceBackend.compile(...args)
        },
      },
      2,
    )
    const use = (length: number): void => {
      engine.compile(makeProgram(np.exp)(np.zeros([length]))).catch(() => undefined)
    }
    for (const length of [1, 2, 1, 3]) use(length)
    expect(compiled).toBe(3)
    use(1)
    expect(compiled).toBe(3)
    use(2)
    expect(compiled).toBe(4)
  })

  it('traces again for each static value, and can be told not to', () => {
    const power = assertMaxTraces(function power(x: Tensor, n: number): Tensor {
      return n === 0 ? np.ones(x.shape) : np.multiply(x, power(x, n - 1))
    }, 9)
    const f = jit(power, { static: [1] })
    f(np.array([2]), 2)
    f(np.array([3]), 2)
    const limited = jit(assertMaxTraces(sgd, 1))
    limited(np.array([1]), np.array([1]))
    expect(() => limited(np.array([1, 2]), np.array([1, 2]))).toThrow(
      'sgd was traced 2 times, and at most 1 were allowed',
    )
  })
})
