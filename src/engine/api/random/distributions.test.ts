import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OnnxBackend } from '../../compile/onnx/backend.js'
import { nodeSessions } from '../../compile/onnx/node.js'
import { referenceBackend } from '../../compile/reference/backend.js'
import { setBackend } from '../engine.js'
import { jit } from '../jit.js'
import * as np from '../np.js'
import * as random from '../random.js'
import type { Tensor } from '../tensor.js'
import { grad } from '../transforms.js'
import { vmap } from '../vmap.js'

interface Case {
  call: string
  seed: number
  shape: number[]
  value: number[]
}
const { cases } = JSON.parse(readFileSync('test/fixtures/jax-distributions.json', 'utf8')) as { cases: Case[] }

const a = (): Tensor => np.array([0.05, 0.5, 1, 2.5, 30])
const p = (): Tensor => np.array([0.1, 0.2, 0.3, 0.4])
const covariance = (): Tensor =>
  np.array([
    [2, 0.5, 0.3],
    [0.5, 1, -0.2],
    [0.3, -0.2, 1.5],
  ])

/** Our call for each of JAX's, and how near the values must be, relative to max(1, |value|). */
const calls: Record<string, [call: (k: Tensor) => Tensor, within: number]> = {
  'key_data(split(key(seed),(2,3)))': [k => random.split(k, [2, 3]), 0],
  'exponential(key(seed),(6,))': [k => random.exponential(k, [6]), 1e-6],
  'laplace(key(seed),(6,))': [k => random.laplace(k, [6]), 1e-6],
  'logistic(key(seed),(6,))': [k => random.logistic(k, [6]), 1e-6],
  'cauchy(key(seed),(6,))': [k => random.cauchy(k, [6]), 1e-6],
  'rademacher(key(seed),(8,))': [k => random.rademacher(k, [8]), 0],
  'loggamma(key(seed),a)': [k => random.loggamma(k, a()), 1e-6],
  'gamma(key(seed),a)': [k => random.gamma(k, a()), 2e-6],
  'gamma(key(seed),2.5,(2,3))': [k => random.gamma(k, 2.5, [2, 3]), 2e-6],
  'beta(key(seed),a,1.5)': [k => random.beta(k, a(), 1.5), 1e-6],
  'dirichlet(key(seed),a,(2,))': [k => random.dirichlet(k, a(), 2), 1e-6],
  'poisson(key(seed),rates)': [k => random.poisson(k, np.array([0, 0.3, 3, 9.9, 10, 40, 1000])), 0],
  'poisson(key(seed),4,(6,))': [k => random.poisson(k, 4, [6]), 0],
  'choice(key(seed),10,(6,))': [k => random.choice(k, 10, [6]), 0],
  'choice(key(seed),10,(6,),replace=False)': [k => random.choice(k, 10, [6], { replace: false }), 0],
  'choice(key(seed),4,(6,),p=p)': [k => random.choice(k, 4, [6], { p: p() }), 0],
  'choice(key(seed),4,(3,),p=p,replace=False)': [k => random.choice(k, 4, [3], { p: p(), replace: false }), 0],
  'choice(key(seed),x,(2,2),axis=1)': [
    k => random.choice(k, np.reshape(np.astype(np.arange(12), 'float32'), [3, 4]), [2, 2], { axis: 1 }),
    0,
  ],
  'multivariate_normal(key(seed),mean,cov,(2,))': [
    k => random.multivariateNormal(k, np.array([1, -1, 0]), covariance(), [2]),
    1e-6,
  ],
  'multivariate_normal(key(seed),means,covs)': [
    k => random.multivariateNormal(k, np.zeros([2, 3]), np.stack([covariance(), np.multiply(covariance(), 2)])),
    1e-6,
  ],
}

describe.each(['interpreted', 'compiled'])('distributions are JAX’s, %s', backend => {
  beforeAll(async () => {
    setBackend(backend === 'compiled' ? new OnnxBackend(await nodeSessions()) : referenceBackend)
  })
  afterAll(() => {
    setBackend(referenceBackend)
  })

  it.each(cases)('$call, seed $seed', async ({ call, seed, shape, value }) => {
    const [draw, within] = calls[call]
    const drawn = jit(draw)(random.key(seed))
    expect(drawn.shape).toEqual(shape)
    const got = await drawn.numbers()
    if (within === 0) expect(got).toEqual(value)
    else
      got.forEach((v, i) =>
        expect(Math.abs(v - value[i])).toBeLessThanOrEqual(within * Math.max(1, Math.abs(value[i]))),
      )
  })
})

describe('distributions', () => {
  beforeAll(() => {
    setBackend(referenceBackend)
  })
  const n = 4000
  const k = (): Tensor => random.key(7)
  const moments = async (x: Tensor): Promise<[mean: number, variance: number]> => {
    const v = await x.numbers()
    const mean = v.reduce((s, y) => s + y, 0) / v.length
    return [mean, v.reduce((s, y) => s + (y - mean) ** 2, 0) / v.length]
  }

  it.each<[string, (key: Tensor) => Tensor, number, number]>([
    ['exponential', key => random.exponential(key, n), 1, 1],
    ['laplace', key => random.laplace(key, n), 0, 2],
    ['logistic', key => random.logistic(key, n), 0, Math.PI ** 2 / 3],
    ['rademacher', key => random.rademacher(key, n), 0, 1],
    ['gamma(0.5)', key => random.gamma(key, 0.5, n), 0.5, 0.5],
    ['gamma(3)', key => random.gamma(key, 3, n), 3, 3],
    ['beta(2, 3)', key => random.beta(key, 2, 3, n), 0.4, 0.04],
    ['poisson(3)', key => random.poisson(key, 3, n), 3, 3],
    ['poisson(30)', key => random.poisson(key, 30, n), 30, 30],
  ])('%s has its mean and variance', async (_, draw, mean, variance) => {
    const [m, v] = await moments(draw(k()))
    expect(Math.abs(m - mean)).toBeLessThan(5 * Math.sqrt(variance / n))
    expect(Math.abs(v / variance - 1)).toBeLessThan(0.2)
  })

  it('of several variables have their means and covariances', async () => {
    const x = random.multivariateNormal(k(), np.array([1, -1, 0]), covariance(), n)
    const centred = np.subtract(x, np.mean(x, { axis: 0 }))
    const sample = await np.divide(np.matmul(np.transpose(centred), centred), n).numbers()
    const wanted = await covariance().numbers()
    sample.forEach((s, i) => expect(Math.abs(s - wanted[i])).toBeLessThan(0.15))
    const d = random.dirichlet(k(), np.array([1, 2, 5]), n)
    const means = await np.mean(d, { axis: 0 }).numbers()
    means.forEach((m, i) => expect(Math.abs(m - [1, 2, 5][i] / 8)).toBeLessThan(0.02))
  })

  // What JAX 0.10.2 draws with key(0) for NaN, -1, 0 and Infinity, each beside an ordinary parameter.
  const [nan, inf] = [NaN, Infinity]
  const draws: Record<string, { draw: (k: Tensor, x: number) => Tensor; expected: number[][] }> = {
    loggamma: {
      draw: (key, x) => random.loggamma(key, np.array([x, 2])),
      expected: [nan, nan, -inf, inf].map(first => [first, 0.5652805]),
    },
    gamma: {
      draw: (key, x) => random.gamma(key, np.array([x, 2])),
      expected: [nan, nan, 0, inf].map(first => [first, 1.7599413]),
    },
    'beta, a': {
      draw: (key, x) => random.beta(key, np.array([x, 2]), 1.5),
      expected: [nan, nan, 0, nan].map(first => [first, 0.85506094]),
    },
    'beta, b': {
      draw: (key, x) => random.beta(key, 1.5, np.array([x, 2])),
      expected: [nan, nan, 1, nan].map(first => [first, 0.58398587]),
    },
    dirichlet: {
      draw: (key, x) => random.dirichlet(key, np.array([x, 2, 1])),
      expected: [
        [nan, nan, nan],
        [nan, nan, nan],
        [0, 0.8337196, 0.16628042],
        [nan, nan, nan],
      ],
    },
    poisson: {
      draw: (key, x) => random.poisson(key, np.array([x, 2, 20])),
      expected: [-1, -1, 0, 0].map(first => [first, 0, 14]),
    },
  }
  const cases = Object.entries(draws).flatMap(([name, { draw, expected }]) =>
    [nan, -1, 0, inf].map((x, i) => ({ name, draw, x, expected: expected[i] })),
  )
  it.each(cases)('end for every parameter: $name of $x', async ({ draw, x, expected }) => {
    for (const backend of [new OnnxBackend(nodeSessions(1)), referenceBackend]) {
      setBackend(backend)
      const drawn = await draw(random.key(0), x).numbers()
      expect(drawn.map(v => v.toFixed(5))).toEqual(expected.map(v => v.toFixed(5)))
    }
  })

  it('draw under vmap as they do one by one, and take empty shapes', async () => {
    const keys = random.split(k(), 3)
    const each = await Promise.all(random.splitKeys(k(), 3).map(key => random.gamma(key, 0.7).item()))
    expect(await vmap((key: Tensor) => random.gamma(key, 0.7))(keys).numbers()).toEqual(each)
    expect(random.gamma(k(), 1, [0]).shape).toEqual([0])
    expect(random.choice(k(), 5, [0]).shape).toEqual([0])
    expect(random.split(k(), [2, 0]).shape).toEqual([2, 0, 2])
  })

  it('differentiate in locations and covariances', async () => {
    const f = (c: Tensor): Tensor => np.sum(random.multivariateNormal(k(), np.zeros([1]), c))
    const z = await random.normal(k(), [1]).item()
    expect(await grad(f)(np.array([[4]])).item()).toBeCloseTo(z / 4, 5) // sqrt(c) z
  })

  it('say what is wrong', () => {
    expect(() => random.choice(k(), 3, [4], { replace: false })).toThrow('4 of 3 cannot be drawn without replacement')
    expect(() => random.choice(k(), 3, [4], { p: np.ones([2]) })).toThrow('p must be [3], not f32[2]')
    expect(() => random.gamma(k(), np.ones([2]), [3])).toThrow('do not broadcast together')
    expect(() => random.multivariateNormal(k(), np.ones([2]), np.eye(3))).toThrow('a covariance [..., n, n]')
    expect(() => random.normal('key' as unknown as Tensor)).toThrow(
      'a key is u32[2] (random.key, random.split), not the string "key"',
    )
  })
})
