import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GrowingSums } from './growing-sums.js'

/** What each output comes from, one item after the other. */
function expanded(counts: readonly number[], outputs: number): { item: number; before: number }[] {
  const all: { item: number; before: number }[] = []
  for (let item = 0; all.length < outputs; item++) {
    const before = all.length
    for (let k = 0; k < counts[item % counts.length]; k++) all.push({ item, before })
  }
  return all
}

const someCounts = fc
  .array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 300 })
  .filter(counts => counts.some(count => count > 0))

describe('GrowingSums', () => {
  it('finds the item of any output, in any order', () => {
    fc.assert(
      fc.property(someCounts, fc.array(fc.nat()), (counts, order) => {
        const sums = new GrowingSums({ length: counts.length }, item => counts[item])
        const total = counts.reduce((a, b) => a + b)
        const all = expanded(counts, total)
        for (const k of order) expect(sums.find(k % total)).toEqual(all[k % total])
        for (let k = 0; k < total; k++) expect(sums.find(k)).toEqual(all[k])
        expect(sums.total).toBe(total)
        for (let item = 0; item <= counts.length; item++)
          expect(sums.before(item)).toBe(counts.slice(0, item).reduce((a, b) => a + b, 0))
        expect(() => sums.find(total)).toThrow(`there is no example ${total}: the dataset has ${total}`)
      }),
    )
  })

  it('counts each item of a period once, and finds outputs of any repetition', () => {
    fc.assert(
      fc.property(someCounts, fc.nat(), (counts, far) => {
        let calls = 0
        const items = { length: Infinity, period: counts.length }
        const sums = new GrowingSums(items, item => (calls++, counts[item % counts.length]))
        const total = counts.reduce((a, b) => a + b)
        const all = expanded(counts, total)
        const turns = 1e6 + (far % 1000)
        for (let k = 0; k < total; k++) {
          const { item, before } = all[k]
          expect(sums.find(turns * total + k)).toEqual({
            item: item + turns * counts.length,
            before: before + turns * total,
          })
        }
        expect(sums.before(turns * counts.length + 1)).toBe(turns * total + counts[0])
        expect(sums.period).toBe(total)
        expect(sums.total).toBe(Infinity)
        expect(calls).toBeLessThan(counts.length + 64)
      }),
    )
  })

  it('knows that a period without outputs stays empty', () => {
    const sums = new GrowingSums({ length: Infinity, period: 3 }, () => 0)
    expect(sums.total).toBe(0)
    expect(() => sums.find(0)).toThrow('there is no example 0: the dataset has 0')
  })

  it('gives up on an endless dataset that gives nothing', () => {
    const sums = new GrowingSums({ length: Infinity }, () => 0, Uint8Array)
    expect(() => sums.find(0)).toThrow('give no output')
  })
})
