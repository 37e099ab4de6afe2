import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { ShuffleOrder } from './shuffle-order.js'

it('gives the same order read in sequence and by jumps', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 60 }),
      fc.nat(),
      (length, bufferSize, seed) => {
        const options = { length, bufferSize, seed }
        const sequential = new ShuffleOrder(options)
        const order = Array.from({ length }, (_, i) => sequential.get(i))
        expect([...order].sort((a, b) => a - b)).toEqual(order.map((_, i) => i))
        const jumping = new ShuffleOrder(options)
        for (let i = length - 1; i >= 0; i--) expect(jumping.get(i)).toBe(order[i])
        for (let i = 0; i < length; i += 7) expect(new ShuffleOrder(options).get(i)).toBe(order[i])
      },
    ),
  )
})

it('jumps far into an endless dataset', () => {
  const options = { length: Infinity, bufferSize: 100, seed: 5 }
  const near = new ShuffleOrder(options)
  for (let i = 0; i < 50_000; i++) near.get(i)
  const jumping = new ShuffleOrder(options)
  for (let i = 50_000; i < 50_300; i++) expect(jumping.get(i)).toBe(near.get(i))
  const far = new ShuffleOrder(options).get(1e12)
  expect(far).toBeGreaterThan(1e12 - 10_000)
  expect(far).toBeLessThan(1e12 + 100)
})
