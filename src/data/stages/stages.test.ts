import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { datasetOf } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import { MapSeedCounter } from '../random/seed-counter.js'
import { filterDataset } from './filter.js'
import { flatMapDataset } from './flat-map.js'
import { mapWithSeeds } from './map-with-seeds.js'
import { repeatDataset } from './repeat.js'
import { shuffleDataset } from './shuffle.js'

const all = <T>(dataset: Dataset<T>, count = dataset.length): T[] =>
  Array.from({ length: count }, (_, i) => dataset.get(i))

const numbers = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 200 })

describe('stages', () => {
  it('filter keeps the order, over any number of epochs', () => {
    fc.assert(
      fc.property(numbers, fc.integer({ min: 1, max: 4 }), (items, epochs) => {
        const kept = items.filter(item => item > 3)
        const repeated = filterDataset(repeatDataset(datasetOf(items), epochs), item => item > 3)
        expect(all(repeated)).toEqual(Array.from({ length: epochs }, () => kept).flat())
        const endless = filterDataset(repeatDataset(datasetOf(items), null), item => item > 3)
        expect(endless.length).toBe(kept.length === 0 ? 0 : Infinity)
        if (kept.length > 0) expect(endless.get(kept.length * 1e9 + 1)).toBe(kept[1 % kept.length])
      }),
    )
  })

  it('flatMap gives the outputs of each example in turn, over any number of epochs', () => {
    fc.assert(
      fc.property(numbers, fc.integer({ min: 1, max: 4 }), (items, epochs) => {
        const expand = (item: number) => Array.from({ length: item % 4 }, (_, k) => [item, k])
        const once = items.flatMap(expand)
        const repeated = repeatDataset(datasetOf(items), epochs)
        expect(all(flatMapDataset(repeated, expand))).toEqual(Array.from({ length: epochs }, () => once).flat())
      }),
    )
  })

  it('repeat knows its length and its period', () => {
    const items = datasetOf(['a', 'b', 'c'])
    expect(all(repeatDataset(items, 2))).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
    const endless = repeatDataset(items, null)
    expect([endless.length, endless.period, endless.get(3e12 + 1)]).toEqual([Infinity, 3, 'b'])
    expect(repeatDataset(datasetOf([]), null).length).toBe(0)
    expect(repeatDataset(repeatDataset(items, 2), null).period).toBe(3)
  })

  it('mapWithSeeds gives new seeds in each epoch, always the same', () => {
    const make = () =>
      mapWithSeeds(repeatDataset(datasetOf([7]), null), new MapSeedCounter(1), 1, (_, [seed]) => seed.join())
    expect(new Set(all(make(), 50)).size).toBe(50)
    expect(make().get(1_000_000)).toBe(make().get(1_000_000))
    expect(make().period).toBeUndefined()
  })

  it('shuffle gives every example once', () => {
    const shuffled = shuffleDataset(datasetOf(Array.from({ length: 100 }, (_, i) => i)), { bufferSize: 7, seed: 2 })
    const order = all(shuffled)
    expect(order).not.toEqual([...order].sort((a, b) => a - b))
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(() => shuffleDataset(datasetOf([1]), { bufferSize: 0, seed: 2 }).get(0)).toThrow(
      'a whole size of 1 or more, not 0',
    )
  })
})
