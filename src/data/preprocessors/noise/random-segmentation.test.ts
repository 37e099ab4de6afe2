import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { seedOf } from '../../random/seed.js'
import { statelessPermutation } from '../../random/stateless.js'
import { randomSegmentation } from './random-segmentation.js'

/** As T5 computes it: the marks of the cuts are gathered by the shuffle's permutation. */
function byShuffle(items: number, segments: number, seed: number): number[] {
  const order = statelessPermutation(seedOf(seed, 1), items - 1)
  const lengths = [1]
  for (const place of order) {
    if (place < segments - 1) lengths.push(1)
    else lengths[lengths.length - 1]++
  }
  return lengths
}

it('is equal to shuffled marks', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 600 }), fc.nat(), fc.nat(), (items, some, seed) => {
      const segments = 1 + (some % items)
      expect([...randomSegmentation(items, segments, seedOf(seed, 1))]).toEqual(byShuffle(items, segments, seed))
    }),
  )
})

it('is equal to shuffled marks with equal random numbers among them', () => {
  expect([...randomSegmentation(60_000, 20_000, seedOf(3, 1))]).toEqual(byShuffle(60_000, 20_000, 3))
})
