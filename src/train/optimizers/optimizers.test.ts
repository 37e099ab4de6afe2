import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import { jit } from '../../engine/api/jit.js'
import { adafactor } from './adafactor.js'
import { adamW } from './adamw.js'
import { clipByGlobalNorm, globalNorm } from './clipping.js'
import { factoringOf } from './factoring.js'
import { makeSchedule } from './schedules.js'

describe('adamW', () => {
  it('follows the paper, in float64, for several steps, and decays matrices only', async () => {
    const { b1, b2, epsilon, weightDecay, rate } = { b1: 0.9, b2: 0.98, epsilon: 1e-8, weightDecay: 0.1, rate: 0.05 }
    const optimizer = adamW({ b1, b2, epsilon, weightDecay })
    const start = { kernel: [0.5, -1, 2, 0], scale: [1, -3] }
    const gradient = (value: number, step: number): number => Math.sin(3 * value + step) * 10 ** (step - 2)

    let params = { kernel: np.array([start.kernel.slice(0, 2), start.kernel.slice(2)]), scale: np.array(start.scale) }
    let state = optimizer.init(params)
    const update = jit(optimizer.update<typeof params, typeof state>)
    const expected = {
      kernel: start.kernel.map(p => ({ p, m: 0, v: 0 })),
      scale: start.scale.map(p => ({ p, m: 0, v: 0 })),
    }
    for (let step = 0; step < 4; step++) {
      const [gk, gs] = [expected.kernel, expected.scale].map(list =>
        list.map(({ p }) => Math.fround(gradient(p, step))),
      )
      const gradients = { kernel: np.reshape(np.array(gk), [2, 2]), scale: np.array(gs) }
      ;({ params, state } = update(gradients, state, params, { learningRate: np.array(rate), step: np.array(step) }))
      for (const [list, gs2, decay] of [
        [expected.kernel, gk, weightDecay],
        [expected.scale, gs, 0],
      ] as const) {
        list.forEach((x, i) => {
          x.m = b1 * x.m + (1 - b1) * gs2[i]
          x.v = b2 * x.v + (1 - b2) * gs2[i] ** 2
          const [m, v] = [x.m / (1 - b1 ** (step + 1)), x.v / (1 - b2 ** (step + 1))]
          x.p -= (rate * m) / (Math.sqrt(v) + epsilon) + rate * decay * x.p
        })
      }
    }
    const close = async (actual: Tensor, list: { p: number }[]): Promise<void> =>
      (await actual.numbers()).forEach((a, i) => expect(Math.abs(a - list[i].p)).toBeLessThan(1e-5))
    await close(params.kernel, expected.kernel)
    await close(params.scale, expected.scale)
  })
})

describe('adafactor', () => {
  it('has decay 0 up to its step offset, and counts steps from there', async () => {
    const specs = [{ path: 'w', shape: [3], axes: ['embed'] }]
    const params = { w: np.array([1, -2, 0.5]) }
    const gradients = { w: np.array([0.1, 0.2, -0.3]) }
    const state = { w: { v: np.array([4, 5, 6]) } }
    const updated = async (stepOffset: number, step: number): Promise<number[][]> => {
      const scalars = { learningRate: np.array(0.1), step: np.array(step) }
      const next = adafactor(specs, { stepOffset }).update(gradients, state, params, scalars)
      return Promise.all([next.params.w.numbers(), next.state.w.v.numbers()])
    }
    const first = await updated(0, 0)
    expect(first.flat().every(Number.isFinite)).toBe(true)
    for (const step of [0, 5, 10]) expect(await updated(10, step), `step ${step}`).toEqual(first)
    expect(await updated(10, 11)).toEqual(await updated(0, 1))
    expect(await updated(10, 11)).not.toEqual(first)
  })
})

describe('clipping by the global norm', () => {
  it('leaves small gradients alone and scales large ones to the norm', async () => {
    const tree = { a: np.array([3]), b: [np.array([[0, 4]])] }
    expect(await globalNorm(tree).item()).toBe(5)
    const small = clipByGlobalNorm(tree, 5)
    expect(await small.gradients.a.numbers()).toEqual([3])
    const large = clipByGlobalNorm(tree, 1)
    expect(await large.norm.item()).toBe(5)
    expect(await globalNorm(large.gradients).item()).toBeCloseTo(1, 6)
    expect(await large.gradients.b[0].numbers()).toEqual([0, Math.fround(0.8)].map(x => expect.closeTo(x, 6)))
  })
})

describe('schedules', () => {
  it('warm up, then stay constant or fall to 0', () => {
    const shared = { peak: 0.5, warmupSteps: 10 }
    const [constant, linear, cosine] = (['constant', 'linear', 'cosine'] as const).map(kind =>
      makeSchedule({ kind, ...shared }, 110),
    )
    for (const schedule of [constant, linear, cosine]) {
      expect(schedule(0)).toBe(1e-8)
      expect(schedule(5)).toBe(0.25)
      expect(schedule(10)).toBe(0.5)
    }
    expect([constant(60), linear(60), cosine(60)]).toEqual([0.5, 0.25, expect.closeTo(0.25, 12)])
    expect(cosine(35)).toBeCloseTo(0.5 * Math.cos(Math.PI / 8) ** 2, 12)
    expect([constant(110), linear(110), cosine(110)]).toEqual([0.5, 1e-8, 1e-8])
    expect(makeSchedule({ kind: 'constant', peak: 1, warmupSteps: 0 }, 5)(0)).toBe(1)
    expect(() => makeSchedule({ kind: 'linear', ...shared }, 10)).toThrow(
      'needs more than the 10 steps of this run: set train.schedule.warmupSteps=1',
    )
  })
})

describe('factoring', () => {
  it('depends on the size of matrices and on the axes of experts', () => {
    expect(factoringOf({ path: 'p', shape: [128, 200], axes: ['mlp', 'embed'] }).factors).toEqual({
      rows: [0],
      columns: [1],
    })
    expect(factoringOf({ path: 'p', shape: [200, 128], axes: ['mlp', 'embed'] }).factors).toEqual({
      rows: [1],
      columns: [0],
    })
    expect(factoringOf({ path: 'p', shape: [127, 4000], axes: ['mlp', 'embed'] }).factors).toBeNull()
    expect(factoringOf({ path: 'p', shape: [2, 8, 4], axes: ['expert', 'expert_mlp', 'mlp_embed'] })).toEqual({
      averaged: [1, 2],
      factors: { rows: [2], columns: [1] },
    })
    expect(() => factoringOf({ path: 'a/b', shape: [1], axes: ['width'] })).toThrow(
      'a/b: Adafactor does not know the axis "width"',
    )
  })
})
