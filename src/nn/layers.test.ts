import { describe, expect, it } from 'vitest'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import { grad } from '../engine/api/transforms.js'
import { gelu, relu } from './activations.js'
import { noiseFrom } from './noise.js'
import { relativePositionBias, relativePositionBucket } from './relative-bias.js'
import { rmsNorm } from './rms-norm.js'
import { softmax } from './softmax.js'

const x = (): Tensor =>
  np.array([
    [0.5, -1, 2],
    [3, 0.1, -0.4],
  ])
const weights = (): Tensor =>
  np.array([
    [1, -2, 0.5],
    [0.3, 4, -1],
  ])

/** Compares a derivative written by hand with the engine's derivative of the formula. */
async function sameGradient(f: (x: Tensor) => Tensor, formula: (x: Tensor) => Tensor): Promise<void> {
  const gradientOf = (g: (x: Tensor) => Tensor): Promise<number[]> =>
    jit(grad((y: Tensor) => np.sum(np.multiply(g(y), weights()))))(x()).numbers()
  const [actual, expected] = [await gradientOf(f), await gradientOf(formula)]
  actual.forEach((a, i) => expect(a).toBeCloseTo(expected[i], 5))
}

describe('layers', () => {
  it('softmax: values and gradient', async () => {
    const formula = (y: Tensor): Tensor => np.divide(np.exp(y), np.sum(np.exp(y), { axis: -1, keepdims: true }))
    const [a, b] = [await softmax(x()).numbers(), await formula(x()).numbers()]
    a.forEach((v, i) => expect(v).toBeCloseTo(b[i], 6))
    await sameGradient(softmax, formula)
    expect(await softmax(np.array([1000, 1000])).numbers()).toEqual([0.5, 0.5])
  })

  it('RMS norm: values and gradients in x and scale', async () => {
    const scale = np.array([2, 1, -1])
    const formula = (y: Tensor, s: Tensor): Tensor =>
      np.multiply(np.divide(y, np.sqrt(np.add(np.mean(np.square(y), { axis: -1, keepdims: true }), 1e-6))), s)
    const [a, b] = [await rmsNorm({ scale }, x(), 1e-6).numbers(), await formula(x(), scale).numbers()]
    a.forEach((v, i) => expect(v).toBeCloseTo(b[i], 5))
    await sameGradient(
      y => rmsNorm({ scale }, y, 1e-6),
      y => formula(y, scale),
    )
    const ofScale = (f: (s: Tensor) => Tensor): Promise<number[]> =>
      grad((s: Tensor) => np.sum(np.multiply(f(s), weights())))(scale).numbers()
    const [c, d] = [await ofScale(s => rmsNorm({ scale: s }, x(), 1e-6)), await ofScale(s => formula(x(), s))]
    c.forEach((v, i) => expect(v).toBeCloseTo(d[i], 5))
    // A second derivative also differentiates the residuals of the rule.
    const penalty = (f: (y: Tensor) => Tensor) =>
      grad((y: Tensor) => np.sum(np.square(grad((z: Tensor) => np.sum(np.multiply(f(z), weights())))(y))))(
        x(),
      ).numbers()
    const [e, g] = [await penalty(y => rmsNorm({ scale }, y, 1e-6)), await penalty(y => formula(y, scale))]
    expect(Math.max(...g.map(Math.abs))).toBeGreaterThan(0.1)
    e.forEach((v, i) => expect(v).toBeCloseTo(g[i], 4))
  })

  it('activations', async () => {
    expect(await relu(np.array([-1, 0, 2])).numbers()).toEqual([0, 0, 2])
    expect(await grad((y: Tensor) => np.sum(relu(y)))(np.array([-1, 0, 2])).numbers()).toEqual([0, 0, 1])
    expect(await gelu(np.array(1)).item()).toBeCloseTo(0.841192, 5)
    expect(await gelu(np.array(-10)).item()).toBeCloseTo(0, 5)
  })
})

describe('relative position buckets', () => {
  const encoder = { numBuckets: 32, maxDistance: 128, bidirectional: true, epsilon: 0 }
  const decoder = { ...encoder, bidirectional: false }
  it('hold one distance each nearby, then ranges, then all larger distances', () => {
    expect([0, -1, -7, -8, -11, -12, -16, -64, -127, -128, -1000].map(d => relativePositionBucket(d, encoder))).toEqual(
      [0, 1, 7, 8, 8, 9, 10, 14, 15, 15, 15],
    )
    expect([0, -1, -15, -16, -32, -128, -1000].map(d => relativePositionBucket(d, decoder))).toEqual([
      0, 1, 15, 16, 21, 31, 31,
    ])
  })
  it('distinguish earlier from later keys in an encoder; in a decoder later keys are masked', () => {
    expect([1, 7, 8, 1000].map(d => relativePositionBucket(d, encoder))).toEqual([17, 23, 24, 31])
    expect([1, 1000].map(d => relativePositionBucket(d, decoder))).toEqual([0, 0])
  })
  it('are those of transformers at the edges of two, and with an epsilon those of Flaxformer', () => {
    // _relative_position_bucket of transformers 5.23: num_buckets, max_distance, distance, bucket.
    for (const [numBuckets, maxDistance, distance, bucket] of [
      [8, 49, -14, 6],
      [8, 121, -22, 6],
      [17, 27, -12, 10],
      [19, 25, -15, 13],
    ])
      expect(relativePositionBucket(distance, { ...decoder, numBuckets, maxDistance })).toBe(bucket)
    expect(relativePositionBucket(-12, { ...decoder, numBuckets: 17, maxDistance: 27, epsilon: 2 ** -23 })).toBe(11)
    expect([-40, 40].map(d => relativePositionBucket(d, { ...encoder, numBuckets: 9, maxDistance: 20 }))).toEqual([
      3, 7,
    ])
  })
  it('have finite biases from 4 buckets on, and are refused below', async () => {
    const biasOf = (numBuckets: number, maxDistance: number, bidirectional: boolean): Promise<number[]> =>
      relativePositionBias(np.ones([1, numBuckets]), 9, 9, {
        numBuckets,
        maxDistance,
        bidirectional,
        epsilon: 0,
      }).numbers()
    for (const bidirectional of [true, false]) {
      for (const buckets of [4, 5]) expect(new Set(await biasOf(buckets, 8, bidirectional))).toEqual(new Set([1]))
      expect(() => biasOf(2, 8, bidirectional)).toThrow('there are 2 relative position buckets')
      expect(() => biasOf(8, 4, bidirectional)).toThrow('more than half of the 8 buckets')
    }
  })
})

describe('noise', () => {
  const dropped = (seed: number, rate: number): Promise<number[]> =>
    jit((k: Tensor) => noiseFrom(k).dropout(np.ones([4, 3, 500]), rate, 1))(random.key(seed)).numbers()

  it('drops the given share and keeps the mean', async () => {
    const values = await dropped(0, 0.25)
    expect(new Set(values)).toEqual(new Set([0, Math.fround(4 / 3)]))
    expect(values.reduce((a, b) => a + b) / values.length).toBeCloseTo(1, 1)
  })

  it('has one mask for all positions of the shared axis', async () => {
    const values = await dropped(0, 0.5)
    for (let row = 0; row < 4; row++) {
      const [first, second] = [0, 1].map(position =>
        values.slice((row * 3 + position) * 500, (row * 3 + position + 1) * 500),
      )
      expect(second).toEqual(first)
    }
    expect(values.slice(0, 500)).not.toEqual(values.slice(1500, 2000))
  })

  it('is equal for equal keys, and new at every use', async () => {
    expect(await dropped(3, 0.5)).toEqual(await dropped(3, 0.5))
    expect(await dropped(3, 0.5)).not.toEqual(await dropped(4, 0.5))
    const noise = noiseFrom(random.key(0))
    const [a, b] = [noise.jitter(np.ones([100]), 0.1), noise.jitter(np.ones([100]), 0.1)]
    expect(await a.numbers()).not.toEqual(await b.numbers())
    for (const v of await a.numbers()) expect(Math.abs(v - 1)).toBeLessThanOrEqual(0.1 + 1e-6)
  })
})
