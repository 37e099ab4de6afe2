import { describe, expect, it } from 'vitest'
import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import { adamW } from './optimizers/adamw.js'
import { makeTrainStep } from './step.js'
import type { Loss } from './step.js'

type Line = { x: Tensor; y: Tensor }

/** Squared error of a line through points, and random noise that shows which key the step used. */
const loss: Loss<Line> = (params, { x, y }, key) => {
  const { w, b } = params as { w: Tensor; b: Tensor }
  const error = np.subtract(np.add(np.multiply(w, x), b), y)
  return [np.mean(np.square(error)), { noise: random.uniform(key, []) }]
}

const batch = { x: np.array([0, 1, 2, 3]), y: np.array([1, 3, 5, 7]) }

describe('a training step', () => {
  it('learns, with the state donated and a key of its own for each step', async () => {
    const optimizer = adamW({ b2: 0.98 })
    const step = makeTrainStep(loss, optimizer, 1)
    const params = { w: np.array([0]), b: np.array([0]) }
    const first = { params, optimizer: optimizer.init(params) }
    let arrays = first
    const losses: number[] = []
    const noise = new Set<number>()
    for (let i = 0; i < 200; i++) {
      const result = step(arrays, {
        batch,
        key: random.key(0),
        step: np.array(i, 'int32'),
        learningRate: np.array(0.1),
      })
      arrays = result.arrays as typeof arrays
      losses.push(await result.metrics.loss.item())
      noise.add(await result.metrics.noise.item())
    }
    expect(losses[0]).toBeCloseTo(21, 5)
    expect(losses.at(-1)).toBeLessThan(0.01)
    expect(noise.size).toBe(200)
    expect((await arrays.params.w.numbers())[0]).toBeCloseTo(2, 0)
    await expect(async () => first.params.w.numbers()).rejects.toThrow('was donated to trainStep')
  })

  it('reports the norm before clipping', async () => {
    const optimizer = adamW()
    for (const clipNorm of [0.5, null]) {
      const params = { w: np.array([0]), b: np.array([0]) }
      const { metrics } = makeTrainStep(
        loss,
        optimizer,
        clipNorm,
      )(
        { params, optimizer: optimizer.init(params) },
        { batch, key: random.key(0), step: np.array(0, 'int32'), learningRate: np.array(0.1) },
      )
      // d/dw = -2 mean(x y) = -17, d/db = -2 mean(y) = -8.
      expect(await metrics.gradientNorm.item()).toBeCloseTo(Math.hypot(17, 8), 4)
    }
  })
})
