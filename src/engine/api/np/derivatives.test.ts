import { beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../../compile/reference/backend.js'
import { setBackend } from '../engine.js'
import { jit } from '../jit.js'
import * as np from '../np.js'
import type { Tensor } from '../tensor.js'
import { grad } from '../transforms.js'
import { vmap } from '../vmap.js'

beforeAll(() => {
  setBackend(referenceBackend)
})

/** At these points the derivative is compared with the quotient of differences. */
const points: Record<string, readonly [(x: Tensor) => Tensor, readonly number[]]> = {
  sinh: [np.sinh, [-20, -2, 0, 0.1, 8.9, 12]],
  cosh: [np.cosh, [-20, -2, 0.1, 8.9, 12]],
  arcsinh: [np.arcsinh, [-30, -0.5, 0, 0.2, 1.5, 40]],
  arccosh: [np.arccosh, [1.2, 3, 50]],
  arctanh: [np.arctanh, [-0.7, 0, 0.3]],
  arcsin: [np.arcsin, [-0.9, 0, 0.5]],
  arccos: [np.arccos, [-0.9, 0, 0.5]],
  arctan: [np.arctan, [-3, 0, 2]],
  cbrt: [np.cbrt, [-8, 0.5, 27]],
  log2: [np.log2, [0.3, 1, 8]],
  log10: [np.log10, [0.3, 1, 100]],
  exp2: [np.exp2, [-2, 0, 3]],
  sinc: [np.sinc, [-0.7, 0, 1.3]],
  'hypot of 3': [x => np.hypot(x, 3), [-4, 0.5, 4]],
  'cumprod, its sum': [x => np.sum(np.cumprod(np.stack([x, x, x]), 0)), [-1, 0, 2]],
  median: [x => np.median(np.stack([x, np.multiply(x, 2), np.array(100)])), [1, 3]],
  interp: [x => np.interp(x, [0, 1, 3], [10, 20, 0]), [0.5, 2]],
}

describe('derivatives', () => {
  it.each(Object.entries(points))('%s', async (_, [f, xs]) => {
    const step = 1e-2
    for (const x of xs) {
      const slope = await grad(f)(np.array(x)).item()
      const [high, low] = await Promise.all([f(np.array(x + step)).item(), f(np.array(x - step)).item()])
      const expected = (high - low) / (2 * step)
      expect(Math.abs(slope - expected), `at ${x}: ${slope}, not ${expected}`).toBeLessThan(
        2e-3 * Math.max(1, Math.abs(expected)),
      )
    }
  })

  it('the second one of logaddexp at equal arguments is 0.25', async () => {
    for (const x of [0, -3, 50]) {
      const second = grad(grad((y: Tensor) => np.logaddexp(y, x)))
      expect(await second(np.array(x)).item()).toBeCloseTo(0.25, 6)
    }
  })

  it('the second one of sinc at 0 is -pi² / 3', async () => {
    expect(await grad(grad(np.sinc))(np.array(0)).item()).toBeCloseTo(-(Math.PI ** 2) / 3, 4)
  })

  it('are infinite where the graph is vertical', async () => {
    expect(await grad(np.arcsin)(np.array(1)).item()).toBe(Infinity)
    expect(await grad(np.arccos)(np.array(-1)).item()).toBe(-Infinity)
    expect(await grad(np.arccosh)(np.array(1)).item()).toBe(Infinity)
    expect(await grad(np.cbrt)(np.array(0)).item()).toBe(Infinity)
  })

  it('of rounding are 0', async () => {
    for (const f of [np.floor, np.trunc, np.round, (x: Tensor) => np.floorDivide(x, 0.3)])
      expect(await grad(f as (x: Tensor) => Tensor)(np.array(1.7)).item()).toBe(0)
  })

  it('of remainders are 1 for x, also where nothing remains', async () => {
    for (const [x, y] of [
      [4, 2],
      [-4, 2],
      [0, -1],
      [5, -2],
    ]) {
      const slope = grad((a: Tensor, b: Tensor) => np.remainder(a, b))(np.array(x), np.array(y))
      expect(await slope.item()).toBe(1)
    }
    expect(await grad((x: Tensor) => np.floorDivide(x, 0))(np.array(5)).item()).toBe(0)
  })

  it('go through negative positions, mapped too', async () => {
    const weights = np.array([1, 10, 100])
    const f = (x: Tensor): Tensor => np.sum(np.multiply(np.take(x, np.array([-1, 0, -3], 'int32')), weights))
    expect(await jit(grad(f))(np.array([1, 2, 3])).numbers()).toEqual([110, 0, 1])
    const g = (x: Tensor, i: Tensor): Tensor => np.sum(np.takeAlongAxis(x, i))
    const each = vmap(grad(g))(np.ones([2, 3]), np.array([[-1], [-3]], 'int32'))
    expect(await each.numbers()).toEqual([0, 0, 1, 1, 0, 0])
  })
})
