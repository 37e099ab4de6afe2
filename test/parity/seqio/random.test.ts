import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { PhiloxStream } from '../../../src/data/random/philox.js'
import { RandomDataset } from '../../../src/data/random/random-dataset.js'
import { ExampleSeeds, MapSeedCounter } from '../../../src/data/random/seed-counter.js'
import { integersOf, seedOf, streamOf, wordsOf } from '../../../src/data/random/seed.js'
import type { Seed, SeedDtype } from '../../../src/data/random/seed.js'
import { ShuffleOrder } from '../../../src/data/random/shuffle-order.js'
import * as stateless from '../../../src/data/random/stateless.js'
import { seqioCases } from './cases.js'

interface Range<T> {
  minval: T
  maxval: T
  values: T[]
}

interface Cases {
  philox_blocks?: { key: [number, number]; counter: [number, number, number, number]; bits: number[] }[]
  stateless?: {
    seed: [string, string]
    seed_dtype: SeedDtype
    key: string[]
    counter: string[]
    n: number
    uint32: number[]
    full_int32: number[]
    float32: number[]
    float32_range: Range<number>
    int32_range: Range<number>
    int32_wide: Range<number>
    scalar_float32: number
    shape_2_3_float32: number[][]
    split6: (number | string)[][]
    fold_in_7: string[]
  }[]
  seqio_stateless_shuffle?: { seed: [string, string]; n: number; permutation: number[] }[]
  seqio_stateless_shuffle_ties?: { seed: [string, string]; n: number; sha256_int32: string; first10: number[] }[]
  random_dataset?: { seed: string; values: number[]; global_seed?: number }[]
  map_over_dataset?: {
    initial_seed: number
    num_seeds_per_map: number[]
    num_examples: number
    seeds: number[][][][]
    next_map_seed: number
  }[]
  map_over_dataset_repeat?: {
    initial_seed: number
    num_examples: number
    repeat_before_map: number[][]
    repeat_after_map: number[][]
  }[]
  tf_data_shuffle?: { n: number; buffer_size: number; seed: number; epochs: number[][]; no_reshuffle: number[] }[]
}

const cases = seqioCases<Cases>('random.json')
const seed = ([first, second]: [string, string]) => seedOf(BigInt(first), BigInt(second))
const pairs = (seeds: readonly Seed[]) => seeds.map(s => integersOf(s).map(String))

describe('random numbers of TensorFlow', () => {
  it.each(cases.philox_blocks ?? [])('Philox block of key $key, counter $counter', ({ key, counter, bits }) => {
    const stream = new PhiloxStream(key, counter)
    expect([...stream.words(bits.length)]).toEqual(bits)
    expect(bits.map((_, i) => stream.word(i))).toEqual(bits)
  })

  it.each(cases.stateless ?? [])('stateless operations of seed $seed, $seed_dtype', c => {
    const s = seed(c.seed)
    const { n } = c
    expect([...stateless.randomBits(s, n)]).toEqual(c.uint32)
    expect([...new Int32Array(stateless.randomBits(s, n))]).toEqual(c.full_int32)
    expect([...stateless.uniformFloat32(s, n)]).toEqual(c.float32)
    const floats = c.float32_range
    expect([...stateless.uniformFloat32(s, n, floats.minval, floats.maxval)]).toEqual(floats.values)
    for (const { minval, maxval, values } of [c.int32_range, c.int32_wide])
      expect([...stateless.uniformInt32(s, n, minval, maxval)]).toEqual(values)
    expect(stateless.randomFloat32(s)).toBe(c.scalar_float32)
    expect([...stateless.uniformFloat32(s, 6)]).toEqual(c.shape_2_3_float32.flat())
    expect(pairs(stateless.splitSeed(s, 6, c.seed_dtype))).toEqual(c.split6.map(pair => pair.map(String)))
    expect(pairs([stateless.foldIn(s, 7, c.seed_dtype)])).toEqual([c.fold_in_7])
  })

  it.each(cases.stateless ?? [])('key and counter of seed $seed', c => {
    const words = (values: string[]) => values.flatMap(value => wordsOf(BigInt(value)))
    const [key, counter] = [words(c.key), words(c.counter)] as [[number, number], [number, number, number, number]]
    expect(streamOf(seed(c.seed)).words(8)).toEqual(new PhiloxStream(key, counter).words(8))
  })

  it.each(cases.seqio_stateless_shuffle ?? [])('seqio.stateless_shuffle of $n items', c => {
    expect([...stateless.statelessPermutation(seed(c.seed), c.n)]).toEqual(c.permutation)
    expect([
      ...stateless.statelessShuffle(
        Int32Array.from({ length: c.n }, (_, i) => 3 * i),
        seed(c.seed),
      ),
    ]).toEqual(c.permutation.map(i => 3 * i))
  })

  it.each(cases.seqio_stateless_shuffle_ties ?? [])('equal floats keep their order: $n items', c => {
    const permutation = stateless.statelessPermutation(seed(c.seed), c.n)
    expect([...permutation.subarray(0, 10)]).toEqual(c.first10)
    expect(createHash('sha256').update(permutation).digest('hex')).toBe(c.sha256_int32)
  })

  it.each(cases.random_dataset ?? [])('RandomDataset($seed)', c => {
    const dataset = new RandomDataset(BigInt(c.seed), c.global_seed)
    expect([...dataset.take(c.values.length)]).toEqual(c.values)
    expect(c.values.map((_, i) => dataset.get(i))).toEqual(c.values)
    if (Number.isSafeInteger(Number(c.seed)))
      expect([...new RandomDataset(Number(c.seed), c.global_seed).take(c.values.length)]).toEqual(c.values)
  })

  it.each(cases.map_over_dataset ?? [])('seeds of map_over_dataset from $initial_seed', c => {
    const counter = new MapSeedCounter(c.initial_seed)
    c.num_seeds_per_map.forEach((numSeeds, map) => {
      const seeds = new ExampleSeeds(counter, numSeeds)
      const got = c.seeds[map].map((_, example) => seeds.all(example).map(s => integersOf(s).map(Number)))
      expect(got).toEqual(c.seeds[map])
    })
    expect(counter.next).toBe(c.next_map_seed)
  })

  it.each(cases.map_over_dataset_repeat ?? [])('a repeat before a map continues the seeds ($initial_seed)', c => {
    const seeds = new ExampleSeeds(new MapSeedCounter(c.initial_seed), 1)
    const at = (index: number) => integersOf(seeds.get(index)).map(Number)
    expect(c.repeat_before_map.map((_, i) => at(i))).toEqual(c.repeat_before_map)
    expect(c.repeat_after_map.map((_, i) => at(i % c.num_examples))).toEqual(c.repeat_after_map)
  })

  it.each(cases.tf_data_shuffle ?? [])('shuffle of $n with a buffer of $buffer_size', c => {
    const order = (epoch: number, reshuffle: boolean) => {
      const options = { length: c.n, bufferSize: c.buffer_size, seed: c.seed, epoch, reshuffle }
      const shuffle = new ShuffleOrder(options)
      return Array.from({ length: c.n }, (_, i) => shuffle.get(i))
    }
    expect(c.epochs.map((_, epoch) => order(epoch, true))).toEqual(c.epochs)
    expect(order(0, false)).toEqual(c.no_reshuffle)
  })
})
