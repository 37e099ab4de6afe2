import { describe, expect, it } from 'vitest'
import { castHost, reader } from '../../base/host-tensor.js'
import { fillSeeded, seededScale } from './seeded-values.js'
import type { SeededForm } from './seeded-values.js'

const COUNT = 100_000

/** Seeded values as numbers, with a standard deviation of 0.5 before they are cut. */
function values(form: SeededForm, seed: number, name: string): number[] {
  const bits = { float32: 32, bfloat16: 16, 8: 8, 4: 4 }[form]
  const bytes = new Uint8Array((COUNT * bits) / 8)
  fillSeeded(bytes, form, 0.5, seed, name)
  if (form === 8) return [...new Int8Array(bytes.buffer)].map(x => x * seededScale(8, 0.5))
  if (form === 4) return [...bytes].flatMap(x => [(x & 15) - 8, (x >> 4) - 8]).map(x => x * seededScale(4, 0.5))
  const data = form === 'float32' ? new Float32Array(bytes.buffer) : new Uint16Array(bytes.buffer)
  const read = reader('float32', castHost({ dtype: form, shape: [COUNT], data }, 'float32').data)
  return Array.from({ length: COUNT }, (_, i) => read(i))
}

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length
const product = (xs: readonly number[], ys: readonly number[]): number => mean(xs.map((x, i) => x * ys[i]))

// The standard deviation of a normal distribution of 0.5 that is cut at -1 and 1.
const DEVIATION = 0.5 * 0.8796

describe.each(['float32', 'bfloat16', 8, 4] as const)('fillSeeded in form %s', form => {
  it('makes a normal distribution cut at two standard deviations', () => {
    const xs = values(form, 1, 'a')
    expect(mean(xs)).toBeCloseTo(0, 2)
    expect(Math.sqrt(product(xs, xs)) / DEVIATION).toBeCloseTo(1, form === 4 ? 1 : 2)
    expect(Math.max(...xs.slice(0, 5_000))).toBeGreaterThan(0.85)
    expect(xs.every(x => Math.abs(x) <= 1)).toBe(true)
    const share = xs.filter(x => Math.abs(x) < 0.5).length / COUNT
    if (form !== 4) expect(share).toBeCloseTo(0.6827 / 0.9545, 2)
  })

  it('depends on the seed and the name alone, without correlations between neighbours', () => {
    const xs = values(form, 1, 'a')
    expect(values(form, 1, 'a')).toEqual(xs)
    const others = [values(form, 2, 'a'), values(form, 1, 'b'), [...xs.slice(1), xs[0]], [...xs.slice(2), xs[0], xs[1]]]
    for (const ys of others) expect(Math.abs(product(xs, ys)) / DEVIATION ** 2).toBeLessThan(0.015)
  })
})
