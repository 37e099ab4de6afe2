import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../base/errors.js'
import { toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { chooseBuckets } from './buckets/choose-buckets.js'
import type { Bucket } from './buckets/choose-buckets.js'
import { datasetOf } from './dataset.js'
import type { Dataset } from './dataset.js'
import type { TokenExample } from './features.js'
import { TrainIterator } from './iterator.js'
import type { IteratorOptions, TrainBatch } from './iterator.js'
import { DrawnEpochs } from './streams/drawn-epochs.js'
import { g2pTask } from './tasks/g2p.js'

const size = { rows: 4, inputLength: 16, targetLength: 12, seed: 1 }

const tokens = (inputs: number[], targets: number[]): TokenExample => ({
  inputs: Int32Array.from(inputs),
  targets: Int32Array.from(targets),
})

/** Distinguishable examples: number i has i+10 as its first token, and a length that varies. */
const numbered = (i: number): TokenExample =>
  tokens([i + 10, ...Array<number>((i * 7) % 11).fill(2), 1], [i + 10, ...Array<number>((i * 5) % 9).fill(2), 1])
const numberedExamples = (count: number): Dataset<TokenExample> => ({ length: count, get: numbered })

const take = (iterator: TrainIterator, count: number): TrainBatch[] =>
  Array.from({ length: count }, () => iterator.next())

/** The numbers of the examples in a batch: the first token of each segment. */
const numbersIn = ({ features }: TrainBatch): number[] => {
  const tokens = toNumbers(features.encoder_input_tokens)
  const segments = toNumbers(features.encoder_segment_ids)
  return tokens
    .filter((token, i) => token > 0 && (i % size.inputLength === 0 || segments[i] !== segments[i - 1]))
    .map(token => token - 10)
}

describe('TrainIterator', () => {
  it('uses every example once an epoch', () => {
    const count = 500
    const iterator = new TrainIterator(numberedExamples(count), size)
    const uses = Array.from({ length: count }, () => 0)
    let batches = 0
    while (iterator.epochs < 3) {
      for (const i of numbersIn(iterator.next())) uses[i]++
      batches++
    }
    for (const i of iterator.state().carried as number[]) uses[i]++
    const drawn = iterator.epochs * count
    expect(uses.reduce((a, b) => a + b)).toBe(Math.round(drawn))
    expect(Math.min(...uses)).toBeGreaterThanOrEqual(3)
    expect(Math.max(...uses)).toBeLessThanOrEqual(4)
    expect(batches).toBeGreaterThan(100)
  })

  it('uses a carried example in the next batch', () => {
    const iterator = new TrainIterator(numberedExamples(500), size)
    for (let i = 0; i < 200; i++) {
      const [oldest] = iterator.state().carried
      const batch = iterator.next()
      if (oldest !== undefined) expect(numbersIn(batch)).toContain(oldest)
    }
  })

  it('has one order for each seed and epoch', () => {
    const first = (seed: number) => numbersIn(new TrainIterator(numberedExamples(500), { ...size, seed }).next())
    expect(first(1)).toEqual(first(1))
    expect(first(1)).not.toEqual(first(2))
  })

  it('counts the examples and tokens of a batch', () => {
    const batch = new TrainIterator(numberedExamples(100), size).next()
    expect(batch.examples).toBe(numbersIn(batch).length)
    const { encoder_input_tokens, decoder_target_tokens } = batch.features
    expect(batch.tokens).toBe(
      [...toNumbers(encoder_input_tokens), ...toNumbers(decoder_target_tokens)].filter(t => t > 0).length,
    )
  })

  it('gives each example a row of its own without packing', () => {
    const unpacked = new TrainIterator(numberedExamples(30), { ...size, packing: false })
    const seen = take(unpacked, 15).flatMap(batch => {
      const { examples, features } = batch
      expect(examples).toBe(4)
      for (const ids of [features.encoder_segment_ids, features.decoder_segment_ids])
        expect(Math.max(...toNumbers(ids))).toBe(1)
      return numbersIn(batch)
    })
    expect(seen.slice(0, 30).sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i))
    expect(seen.slice(30).sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i))
  })

  it('works with fewer examples than a batch holds', () => {
    const iterator = new TrainIterator(datasetOf([tokens([3, 1], [4, 1])]), size)
    expect(iterator.next().examples).toBe(4 * 6)
    expect(iterator.epochs).toBeGreaterThan(20)
  })

  it('counts examples that are too long, and refuses data without any that fit', () => {
    const long = tokens(Array<number>(17).fill(3), [1])
    const ten: Dataset<TokenExample> = { length: 10, get: i => (i === 0 ? long : numbered(i)) }
    expect(new TrainIterator(ten, size).skipped).toBe(1)
    expect(new TrainIterator(ten, { ...size, tooLong: 'truncate' }).truncated).toBe(1)
    expect(() => new TrainIterator(datasetOf([long]), size)).toThrow(
      /all 1 examples are longer than 16 input or 12 target tokens/,
    )
    expect(() => new TrainIterator(datasetOf([]), size)).toThrow(/no examples/)
    expect(() => new TrainIterator(numberedExamples(9), { ...size, rows: 0 })).toThrow(ConfigError)
    expect(() => new TrainIterator(numberedExamples(9), { ...size, seed: 0.5 })).toThrow(/seed/)
  })
})

describe('resume', () => {
  const examples = numberedExamples(97)

  it('gives exactly the batches that follow, from any point', () => {
    fc.assert(
      fc.property(
        fc.nat(60),
        fc.integer({ min: -5, max: 2 ** 32 - 1 }),
        fc.integer({ min: 1, max: 20 }),
        (before, seed, maxCarried) => {
          const options = { ...size, seed, maxCarried }
          const original = new TrainIterator(examples, options)
          take(original, before)
          const saved: unknown = JSON.parse(JSON.stringify(original.state()))
          const resumed = new TrainIterator(examples, options)
          take(resumed, before % 7) // it may have been used before
          resumed.restore(saved)
          expect(resumed.state()).toEqual(saved)
          expect(take(resumed, 20)).toEqual(take(original, 20))
          expect(resumed.state()).toEqual(original.state())
        },
      ),
      { numRuns: 30 },
    )
  })

  it.each([{}, { packing: false, buckets: 2 }])('counts what an uninterrupted run counts, with %o', more => {
    const some: Dataset<TokenExample> = {
      length: 40,
      get: i => (i % 4 === 0 ? tokens(Array<number>(17).fill(3), [1]) : numbered(i)),
    }
    for (const tooLong of ['skip', 'truncate'] as const) {
      const options = { ...size, ...more, tooLong }
      const make = (): TrainIterator => new TrainIterator(new DrawnEpochs(() => some, options), options)
      const counts = ({ skipped, truncated }: TrainIterator): number[] => [skipped, truncated]
      const original = make()
      take(original, 9)
      const [saved, before] = [structuredClone(original.state()), counts(original)]
      expect(Math.max(...before)).toBeGreaterThan(3)
      take(original, 9)
      const resumed = make()
      // It may have been used before.
      take(resumed, 4)
      resumed.restore(saved)
      expect(counts(resumed)).toEqual(before)
      take(resumed, 9)
      expect(counts(resumed)).toEqual(counts(original))
    }
  })

  it('is not affected by changes to a state that it returned', () => {
    const iterator = new TrainIterator(examples, size)
    take(iterator, 3)
    const state = iterator.state()
    const copy = structuredClone(state)
    take(iterator, 3)
    expect(state).toEqual(copy)
    iterator.restore(state)
    state.carried.length = 0
    expect(iterator.state()).toEqual(copy)
  })

  it('refuses other data, another seed, and values that are not a state', () => {
    const iterator = new TrainIterator(examples, size)
    const state = iterator.state()
    const changed: Dataset<TokenExample> = {
      ...examples,
      get: i => (i === 40 ? { ...numbered(i), targets: Int32Array.of(99, 1) } : numbered(i)),
    }
    expect(() => new TrainIterator(changed, size).restore(state)).toThrow(/differ from those that this run began with/)
    expect(() => new TrainIterator(examples, { ...size, seed: 2 }).restore(state)).toThrow(/data seed 1, not 2/)
    expect(() => iterator.restore({ ...state, carried: [97] })).toThrow(/past the 97 examples/)
    for (const bad of [
      null,
      {},
      { ...state, position: -1 },
      { ...state, position: 98 },
      { ...state, carried: 'x' },
      { ...state, more: 1 },
    ]) {
      expect(() => iterator.restore(bad)).toThrow(ConfigError)
    }
  })
})

describe('on the pronouncing dictionary', async () => {
  const examples = (await g2pTask()).tokens('train')

  it('fills at least 90% of 16 rows of 64+64, with about 119 words', () => {
    const iterator = new TrainIterator(examples, { rows: 16, inputLength: 64, targetLength: 64, seed: 0 })
    expect([iterator.skipped, iterator.truncated]).toEqual([0, 0])
    const batches = take(iterator, 300)
    const mean = (of: (batch: TrainBatch) => number) =>
      batches.reduce((sum, batch) => sum + of(batch), 0) / batches.length
    expect(mean(b => b.tokens) / (16 * 128)).toBeGreaterThan(0.91)
    expect(mean(b => b.examples)).toBeGreaterThan(117)
    expect(mean(b => b.examples)).toBeLessThan(121)
  })
  it('gives the batches that the released recipes were trained with', () => {
    const iterator = new TrainIterator(examples, { rows: 16, inputLength: 64, targetLength: 64, seed: 0 })
    const hash = createHash('sha256')
    // More than an epoch.
    for (const { features } of take(iterator, 1200))
      for (const { data } of Object.values(features) as HostTensor[]) hash.update(new Uint8Array(data.buffer))
    expect(iterator.epochs).toBeGreaterThan(1)
    expect(hash.digest('hex')).toBe('ec09a7ce02f86d1b27f94633e1743713105347777d0dbb66f2a164a5f236881c')
  })
})

describe('batches in buckets', () => {
  const unpacked = { ...size, inputLength: 32, targetLength: 24, packing: false }
  const bucketed = { ...unpacked, buckets: 3 }
  const make = (): TrainIterator => new TrainIterator(numberedExamples(500), bucketed)
  const firstTokens = ({ features: { encoder_input_tokens: inputs } }: TrainBatch): number[] =>
    toNumbers(inputs).filter((_, i) => i % inputs.shape[1] === 0)
  const areaOf = ({ features }: TrainBatch): number =>
    features.encoder_input_tokens.data.length + features.decoder_input_tokens.data.length

  it('have few sizes and less padding, and hold every example once an epoch', () => {
    const iterator = make()
    const uses = new Map<number, number>()
    const batches: TrainBatch[] = []
    while (iterator.epochs < 2) batches.push(iterator.next())
    for (const batch of batches) for (const first of firstTokens(batch)) uses.set(first, (uses.get(first) ?? 0) + 1)
    for (const i of iterator.state().carried as number[]) uses.set(i + 10, (uses.get(i + 10) ?? 0) + 1)
    expect(uses.size).toBe(500)
    expect(new Set([...uses.values()].filter(n => n !== 2 && n !== 3)).size).toBe(0)
    const sizes = new Set(
      batches.map(({ features }) => `${features.encoder_input_tokens.shape} ${features.decoder_input_tokens.shape}`),
    )
    expect(sizes.size).toBeGreaterThan(1)
    expect(sizes.size).toBeLessThanOrEqual(3)
    const full = take(new TrainIterator(numberedExamples(500), unpacked), batches.length)
    const area = (of: TrainBatch[]): number => of.reduce((sum, batch) => sum + areaOf(batch), 0)
    expect(area(batches)).toBeLessThan(area(full) / 2)
  })

  it('count the examples that are left out as other batches do, without those that were measured', () => {
    const long: Dataset<TokenExample> = {
      length: 50,
      get: i => (i % 5 === 0 ? { inputs: new Int32Array(40).fill(1), targets: Int32Array.of(1) } : numbered(i)),
    }
    const of = (options: IteratorOptions): TrainIterator =>
      new TrainIterator(new DrawnEpochs(() => long, options), options)
    const iterator = of(bucketed)
    expect([iterator.skipped, iterator.truncated]).toEqual([0, 0])
    while (iterator.epochs < 3) iterator.next()
    expect(iterator.skipped).toBeGreaterThanOrEqual(30)
    expect(iterator.skipped).toBeLessThan(60)
    expect(of({ ...bucketed, tooLong: 'truncate' }).truncated).toBe(0)
  })

  it('make each example once', () => {
    const made = new Map<string, number>()
    const counted = (seed: number): Dataset<TokenExample> => ({
      length: 500,
      get(i) {
        made.set(`${seed} ${i}`, (made.get(`${seed} ${i}`) ?? 0) + 1)
        return numbered(i)
      },
    })
    const iterator = new TrainIterator(new DrawnEpochs(counted, bucketed), bucketed)
    made.clear()
    while (iterator.epochs < 2.5) iterator.next()
    expect([...made.values()].every(times => times === 1)).toBe(true)
    expect(made.size).toBe(iterator.epochs * 500)
  })

  it('resume exactly, from any point', () => {
    const iterator = make()
    const states = [iterator.state()]
    const batches = Array.from({ length: 60 }, () => {
      const batch = iterator.next()
      states.push(iterator.state())
      return batch
    })
    for (const at of [0, 1, 7, 30, 59]) {
      const resumed = make()
      resumed.restore(JSON.parse(JSON.stringify(states[at])))
      expect(take(resumed, 60 - at)).toEqual(batches.slice(at))
    }
  })
})

describe('chooseBuckets', () => {
  const full = { inputLength: 64, targetLength: 32 }
  const padding = (lengths: readonly (readonly [number, number])[], buckets: readonly Bucket[]): number =>
    lengths.reduce((sum, [inputs, targets]) => {
      const fits = buckets.find(({ inputLength, targetLength }) => inputs <= inputLength && targets <= targetLength)!
      return sum + fits.inputLength + fits.targetLength
    }, 0)

  it('finds the sizes with the least padding, of all choices', () => {
    const length = fc.tuple(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 32 }))
    fc.assert(
      fc.property(fc.array(length, { minLength: 1, maxLength: 30 }), lengths => {
        const two = chooseBuckets(lengths, full, 2)
        // Any first bucket that the examples' own order by size allows: the second has full rows.
        const sizeOf = ([i, t]: readonly [number, number]): number => Math.max(i / 64, t / 32)
        const sorted = [...lengths].sort((a, b) => sizeOf(a) - sizeOf(b))
        const ceil = (n: number): number => 8 * Math.ceil(n / 8)
        const best = Math.min(
          padding(lengths, [full]),
          ...sorted.map((_, n) => {
            const first = sorted.slice(0, n + 1)
            const bucket = {
              inputLength: ceil(Math.max(...first.map(([i]) => i))),
              targetLength: ceil(Math.max(...first.map(([, t]) => t))),
            }
            return (n + 1) * (bucket.inputLength + bucket.targetLength) + (sorted.length - n - 1) * 96
          }),
        )
        expect(padding(lengths, two)).toBeLessThanOrEqual(best)
        expect(two.at(-1)).toEqual(full)
        expect(padding(lengths, chooseBuckets(lengths, full, 4))).toBeLessThanOrEqual(padding(lengths, two))
      }),
    )
  })
})
