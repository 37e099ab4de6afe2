import { describe, expect, it } from 'vitest'
import { shuffledIndices } from './shuffle.js'

// If one of these changes, every split and every resumed run changes: do not update the values.
describe('never changes', () => {
  it('shuffledIndices', () => {
    expect([...shuffledIndices(10, 0, 0)]).toEqual([2, 6, 4, 9, 8, 0, 1, 7, 3, 5])
    expect([...shuffledIndices(10, 0, 1)]).toEqual([5, 0, 3, 1, 2, 8, 6, 9, 4, 7])
    expect([...shuffledIndices(10, 1, 0)]).toEqual([8, 0, 1, 3, 4, 9, 7, 2, 5, 6])
  })
})

describe('shuffledIndices', () => {
  it('gives every index once', () => {
    for (const length of [0, 1, 2, 1000]) {
      expect([...shuffledIndices(length, 7, 3)].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i))
    }
  })

  it('gives every order of three equally often', () => {
    const counts = new Map<string, number>()
    for (let epoch = 0; epoch < 6000; epoch++) {
      const order = shuffledIndices(3, 5, epoch).join()
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(6)
    // Each order's count is binomial with mean 1000 and standard deviation 29.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })
})
