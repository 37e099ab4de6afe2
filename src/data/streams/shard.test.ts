import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../base/errors.js'
import { datasetOf } from '../dataset.js'
import type { TokenExample } from '../features.js'
import { TrainIterator } from '../iterator.js'
import { DrawnEpochs } from './drawn-epochs.js'
import type { ExampleStream } from './example-stream.js'
import { MixedStream } from './mixed-stream.js'
import type { Shard } from './shard.js'
import { openShared, shareStream } from './shared-stream.js'
import { StoredEpochs, storeExamples } from './stored-epochs.js'

const size = { rows: 2, inputLength: 8, targetLength: 8, seed: 9 }
const example = (id: number): TokenExample => ({ inputs: Int32Array.of(id, 1), targets: Int32Array.of(id, 1) })
const examples = (from = 10, count = 23) => datasetOf(Array.from({ length: count }, (_, i) => example(from + i)))
const stored = (shard?: Shard, from?: number): StoredEpochs =>
  new StoredEpochs(storeExamples(examples(from), size), size.seed, shard)
const drawn = (shard?: Shard): DrawnEpochs => new DrawnEpochs(() => examples(), { ...size, shard })
const mixed = (shard?: Shard): MixedStream =>
  new MixedStream([stored(shard), stored(shard, 1000)], [0.4, 0.6], size.seed)

const shards = [0, 1, 2, 3].map(index => ({ index, count: 4 }))

/** The ids of an epoch's examples, in order. */
function epochOf(stream: ExampleStream): number[] {
  const ids: number[] = []
  const end = Math.floor(stream.epochs) + 1
  while (stream.epochs < end) ids.push(stream.get(stream.draw()).inputs[0])
  return ids
}

describe.each([
  ['stored', stored],
  ['random', drawn],
])('shards of %s examples', (_, open) => {
  it('have no example in common, and together have all of them, in every epoch', () => {
    const streams = shards.map(shard => open(shard))
    for (let epoch = 0; epoch < 3; epoch++) {
      const parts = streams.map(epochOf)
      expect(parts.map(part => part.length)).toEqual([6, 6, 6, 5])
      expect(parts.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 23 }, (_unused, i) => 10 + i))
    }
  })

  it('are chosen anew in each epoch', () => {
    const stream = open(shards[1])
    expect(epochOf(stream).sort()).not.toEqual(epochOf(stream).sort())
  })

  it('that do not exist, or would be empty, are refused', () => {
    expect(() => open({ index: 4, count: 4 })).toThrow('there is no shard 4 of 4')
    expect(() => open({ index: -1, count: 4 })).toThrow(ConfigError)
    expect(() => open({ index: 0, count: 24 })).toThrow('23 examples cannot be divided into 24 shards')
  })
})

describe.each([
  ['stored examples', stored],
  ['random examples', drawn],
  ['a mixture', mixed],
])('an iterator over a shard of %s', (_, open) => {
  const begin = (shard: Shard): TrainIterator => new TrainIterator(open(shard), { ...size, shard })

  it('resumes exactly', () => {
    for (const shard of shards) {
      const first = begin(shard)
      for (let batch = 0; batch < 5; batch++) first.next()
      const second = begin(shard)
      second.restore(JSON.parse(JSON.stringify(first.state())))
      for (let batch = 0; batch < 5; batch++) expect(second.next()).toEqual(first.next())
    }
  })
})

describe('a shard of a mixture', () => {
  it('draws from the same tasks as the other shards, and other examples', () => {
    const [first, second] = shards.map(mixed)
    const ids = (stream: ExampleStream) => Array.from({ length: 10 }, () => stream.get(stream.draw()).inputs[0])
    const [a, b] = [ids(first), ids(second)]
    expect(a.map(id => id >= 1000)).toEqual(b.map(id => id >= 1000))
    expect(a.filter(id => b.includes(id))).toEqual([])
  })

  it('is the same shard in another thread', async () => {
    const [here, there] = [mixed(shards[2]), await openShared(shareStream(mixed(shards[2]))!)]
    for (let i = 0; i < 30; i++) expect(there.draw()).toEqual(here.draw())
  })
})
