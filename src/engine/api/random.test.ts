import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../compile/reference/backend.js'
import { toNumbers } from '../../base/host-tensor.js'
import type { Tensor } from './tensor.js'
import { setBackend } from './engine.js'
import { OnnxBackend } from '../compile/onnx/backend.js'
import { nodeSessions } from '../compile/onnx/node.js'
import { generatorLimits } from '../compile/wasm/generator-code.js'
import { jit } from './jit.js'
import * as np from './np.js'
import * as random from './random.js'
import { vmap } from './vmap.js'

interface Case {
  call: string
  seed: number
  value: NestedNumbers
}
type NestedNumbers = number | boolean | NestedNumbers[]
const { cases } = JSON.parse(readFileSync('test/fixtures/jax-random.json', 'utf8')) as { cases: Case[] }

/** Our call for each of JAX's, and how near the values must be. */
const calls: Record<string, { call: (k: Tensor) => Tensor; within: number }> = {
  'key_data(key(seed))': { call: k => k, within: 0 },
  'key_data(split(key(seed),3))': { call: k => random.split(k, 3), within: 0 },
  'key_data(fold_in(key(seed),7))': { call: k => random.foldIn(k, 7), within: 0 },
  'bits(key(seed),(5,))': { call: k => random.bits(k, [5]), within: 0 },
  'bits(key(seed),(2,3))': { call: k => random.bits(k, [2, 3]), within: 0 },
  'bits(key(seed),(3,),uint8)': { call: k => random.bits(k, [3], 'uint8'), within: 0 },
  'uniform(key(seed),(4,))': { call: k => random.uniform(k, [4]), within: 1e-6 },
  'uniform(key(seed),(4,),minval=-2,maxval=3)': {
    call: k => random.uniform(k, [4], { minval: -2, maxval: 3 }),
    within: 1e-6,
  },
  'normal(key(seed),(4,))': { call: k => random.normal(k, [4]), within: 1e-6 },
  'truncated_normal(key(seed),-2,2,(4,))': { call: k => random.truncatedNormal(k, -2, 2, [4]), within: 1e-6 },
  'gumbel(key(seed),(4,))': { call: k => random.gumbel(k, [4]), within: 1e-6 },
  'bernoulli(key(seed),0.3,(8,))': { call: k => random.bernoulli(k, 0.3, [8]), within: 0 },
  'randint(key(seed),(6,),0,100)': { call: k => random.randint(k, [6], 0, 100), within: 0 },
  'permutation(key(seed),10)': { call: k => random.permutation(k, 10), within: 0 },
  'categorical(key(seed),log([.1,.2,.3,.4]),shape=(8,))': {
    call: k => random.categorical(k, np.log(np.array([0.1, 0.2, 0.3, 0.4])), { shape: [8] }),
    within: 0,
  },
}

const shapeOf = (v: NestedNumbers): number[] => (Array.isArray(v) ? [v.length, ...shapeOf(v[0])] : [])
const flat = (v: NestedNumbers): number[] => (Array.isArray(v) ? v.flatMap(flat) : [Number(v)])

for (const [name, backend] of [
  ['interpreted', () => referenceBackend],
  ['compiled by ONNX Runtime', async () => new OnnxBackend(await nodeSessions())],
  ['generated in loops', () => new OnnxBackend(nodeSessions(), { ...generatorLimits, minElements: 1 })],
] as const) {
  describe(`random numbers are JAX's, ${name}`, () => {
    beforeAll(async () => {
      setBackend(await backend())
    })
    afterAll(() => {
      setBackend(referenceBackend)
    })

    it.each(cases)('$call, seed $seed', async ({ call, seed, value }) => {
      const ours = calls[call]
      const data = await jit(ours.call)(random.key(seed)).data()
      expect(data.shape).toEqual(shapeOf(value))
      const got = toNumbers(data)
      if (ours.within === 0) expect(got).toEqual(flat(value))
      else
        flat(value).forEach((v, i) =>
          expect(Math.abs(got[i] - v)).toBeLessThanOrEqual(ours.within * Math.max(1, Math.abs(v))),
        )
    })
  })
}

describe('a million random numbers are JAX’s', () => {
  const large = JSON.parse(readFileSync('test/fixtures/jax-random-large.json', 'utf8')) as {
    seed: number
    size: number
    cases: { call: string; at: number[]; value: number[] }[]
  }
  const draws: Record<string, { draw: (k: Tensor, size: number) => Tensor; within: number }> = {
    bits: { draw: random.bits, within: 0 },
    uniform: { draw: random.uniform, within: 0 },
    randint: { draw: (k, size) => random.randint(k, size, -5, 1000003), within: 0 },
    normal: { draw: random.normal, within: 1e-6 },
    truncated_normal: { draw: (k, size) => random.truncatedNormal(k, -2, 2, size), within: 1e-6 },
    gumbel: { draw: random.gumbel, within: 1e-6 },
    exponential: { draw: random.exponential, within: 1e-6 },
    laplace: { draw: random.laplace, within: 1e-6 },
    logistic: { draw: random.logistic, within: 1e-6 },
  }
  beforeAll(async () => {
    setBackend(new OnnxBackend(await nodeSessions()))
  })
  afterAll(() => {
    setBackend(referenceBackend)
  })

  it.each(large.cases)('$call, at its ends too', async ({ call, at, value }) => {
    const { draw, within } = draws[call]
    for (const compiled of [draw, jit(draw, { static: [1] })]) {
      const { data } = await compiled(random.key(large.seed), large.size).data()
      at.forEach((i, n) =>
        expect(Math.abs(Number(data[i]) - value[n])).toBeLessThanOrEqual(within * Math.max(1, Math.abs(value[n]))),
      )
    }
  })

  it('as few ones are: erfInv next to 1 has the error that XLA’s has', async () => {
    const steps = [1, 1437, 1446, 1449]
    const x = np.subtract(1, np.multiply(np.array(steps), 2 ** -23))
    const expected = [3.74392128, 2.65726423, 2.65615892, 2.65582275]
    ;(await np.erfInv(x).numbers()).forEach((v, i) => expect(Math.abs(v - expected[i])).toBeLessThan(1e-6))
  })
})

describe('random numbers', () => {
  beforeAll(() => {
    setBackend(referenceBackend)
  })
  const k = (): Tensor => random.key(42)

  it('take keys of 64 bits', async () => {
    expect(await random.key(2n ** 33n + 5n).numbers()).toEqual([2, 5])
    expect(await random.key(2 ** 33 + 5).numbers()).toEqual([2, 5])
  })

  it('are the same for a step known while tracing or not, and under vmap', async () => {
    const step = np.array(7, 'int32')
    expect(await jit((s: Tensor) => random.foldIn(k(), s))(step).numbers()).toEqual(
      await random.foldIn(k(), 7).numbers(),
    )
    const keys = random.splitKeys(k(), 3)
    const each = await Promise.all(keys.map(key => random.normal(key, [2]).numbers()))
    expect(await vmap((key: Tensor) => random.normal(key, [2]))(random.split(k(), 3)).numbers()).toEqual(each.flat())
  })

  it('keep to their bounds', async () => {
    const least = Math.min(...(await random.truncatedNormal(k(), -0.01, 5, [2000]).numbers()))
    expect(least).toBeGreaterThan(-0.01)
    expect(least).toBeLessThan(0.01)
    const uniform = await random.uniform(k(), [2000], { minval: np.array(3), maxval: 3.5 }).numbers()
    expect(uniform.every(u => u >= 3 && u < 3.5)).toBe(true)
    expect(Math.abs(uniform.reduce((a, b) => a + b) / 2000 - 3.25)).toBeLessThan(0.02)
    const dice = await random.randint(k(), [2000], -3, 3).numbers()
    expect([...new Set(dice)].sort((a, b) => a - b)).toEqual([-3, -2, -1, 0, 1, 2])
    const whole = await random.randint(k(), [2000], -(2 ** 31), 2 ** 31).numbers()
    expect(Math.min(...whole)).toBeLessThan(-2e9)
    expect(Math.max(...whole)).toBeGreaterThan(2e9)
  })

  it('permute rows, and draw for each row of logits', async () => {
    const rows = np.reshape(np.arange(20), [10, 2])
    const order = await random.permutation(k(), 10).numbers()
    expect(await random.permutation(k(), rows).numbers()).toEqual(order.flatMap(i => [2 * i, 2 * i + 1]))
    expect(await random.permutation(k(), np.transpose(rows), 1).get(0).numbers()).toEqual(order.map(i => 2 * i))
    const certain = np.array([
      [0, -Infinity],
      [-Infinity, 0],
      [0, -Infinity],
    ])
    expect(await random.categorical(k(), certain).numbers()).toEqual([0, 1, 0])
    const columns = await random.categorical(k(), certain, { axis: 0, shape: [40, 2] }).numbers()
    expect(columns.map((c, i) => (i % 2 === 0 ? c % 2 === 0 : c === 1))).toEqual(columns.map(() => true))
    expect(columns).toContain(0)
    expect(columns).toContain(2)
    expect(await random.bernoulli(k(), np.array([0, 1])).numbers()).toEqual([0, 1])
  })

  it('take the length of one axis for a shape', async () => {
    for (const draw of [random.bits, random.uniform, random.normal, random.gumbel])
      expect(await draw(k(), 3).numbers()).toEqual(await draw(k(), [3]).numbers())
    const logits = np.zeros([5])
    expect(
      [
        random.randint(k(), 3, 0, 9),
        random.bernoulli(k(), 0.5, 3),
        random.truncatedNormal(k(), -1, 1, 3),
        random.categorical(k(), logits, { shape: 3 }),
      ].map(x => x.shape),
    ).toEqual([[3], [3], [3], [3]])
  })

  it('say what is wrong', () => {
    expect(() => random.key(-1)).toThrow('a seed is a whole number of 0 or more, not -1')
    expect(() => random.normal(np.zeros([2]), [3])).toThrow('a key is u32[2] (random.key, random.split), not f32[2]')
    expect(() => random.foldIn(k(), np.array(1.5))).toThrow('foldIn takes an integer, not f32[]')
    expect(() => random.randint(k(), [2], 3, 3)).toThrow('minval < maxval')
    expect(() => random.truncatedNormal(k(), 1, 0)).toThrow('lower < upper')
    expect(() => random.categorical(k(), np.zeros([2, 3]), { shape: [3] })).toThrow('must end with [2]')
  })
})
