import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../base/errors.js'
import { datasetOf } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import type { TokenExample } from '../features.js'
import { TrainIterator } from '../iterator.js'
import { DrawnEpochs } from './drawn-epochs.js'
import { storeExamples } from './stored-epochs.js'

const tokens = (inputs: number[], targets: number[]): TokenExample => ({
  inputs: Int32Array.from(inputs),
  targets: Int32Array.from(targets),
})

describe('storeExamples', () => {
  const fits = tokens([3, 1], [4, 1])
  const longInput = tokens([3, 3, 3, 1], [4, 1])
  const longTarget = tokens([3, 1], [4, 4, 4, 1])
  const size = { inputLength: 3, targetLength: 2, seed: 0 }
  const stored = (tooLong: 'skip' | 'truncate') => {
    const { store, skipped, truncated } = storeExamples(datasetOf([longInput, fits, longTarget]), { ...size, tooLong })
    return { examples: Array.from({ length: store.length }, (_, i) => store.get(i)), skipped, truncated }
  }

  it('skips long examples and counts them', () => {
    expect(stored('skip')).toEqual({ examples: [fits], skipped: 2, truncated: 0 })
  })

  it('truncates long examples and counts them', () => {
    expect(stored('truncate')).toEqual({
      examples: [tokens([3, 3, 3], [4, 1]), fits, tokens([3, 1], [4, 4])],
      skipped: 0,
      truncated: 2,
    })
  })

  it('keeps examples of any lengths', () => {
    const ids = fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 40 })
    fc.assert(
      fc.property(fc.array(fc.tuple(ids, ids), { minLength: 1, maxLength: 3000 }), pairs => {
        const examples = pairs.map(([inputs, targets]) => tokens(inputs, targets))
        const { store } = storeExamples(datasetOf(examples), { inputLength: 40, targetLength: 40, seed: 0 })
        expect(store.length).toBe(examples.length)
        examples.forEach((example, i) => expect(store.get(i)).toEqual(example))
      }),
      { numRuns: 20 },
    )
  })
})

describe('DrawnEpochs', () => {
  const size = { rows: 3, inputLength: 16, targetLength: 12, seed: 5 }
  /** Epochs differ in length and in every example: the seed is the second token. */
  const epoch = (seed: number): Dataset<TokenExample> => ({
    length: 20 + (seed % 7),
    get: i => tokens([10 + i, seed, ...Array<number>(i % 9).fill(2), 1], [10 + i, ...Array<number>(i % 5).fill(2), 1]),
  })
  const begin = (): TrainIterator => new TrainIterator(new DrawnEpochs(epoch, size), size)

  it('draws each example of an epoch once, and draws anew in the next', () => {
    const stream = new DrawnEpochs(epoch, size)
    const drawn: TokenExample[] = []
    while (stream.epochs < 1) drawn.push(stream.get(stream.draw()))
    expect(drawn.map(({ inputs }) => inputs[0]).sort()).toEqual(Array.from({ length: 25 }, (_, i) => 10 + i))
    expect(new Set(drawn.map(({ inputs }) => inputs[1]))).toEqual(new Set([size.seed]))
    expect(stream.get(stream.draw()).inputs[1]).not.toBe(size.seed)
  })

  it('opens each older epoch once, in whatever order examples of them are carried', () => {
    const opened: number[] = []
    const stream = new DrawnEpochs(seed => {
      opened.push(seed)
      return epoch(seed)
    }, size)
    stream.restore({ epoch: 3, position: 0 })
    opened.length = 0
    for (const number of [1, 2, 1, 2, 1]) {
      stream.check([number, 0])
      stream.get([number, 0])
    }
    expect(opened).toHaveLength(2)
  })

  it('resumes exactly, from any point', () => {
    fc.assert(
      fc.property(fc.nat(40), before => {
        const original = begin()
        for (let i = 0; i < before; i++) original.next()
        const saved: unknown = JSON.parse(JSON.stringify(original.state()))
        const resumed = begin()
        for (let i = 0; i < before % 5; i++) resumed.next()
        resumed.restore(saved)
        expect(resumed.state()).toEqual(saved)
        for (let i = 0; i < 8; i++) expect(resumed.next()).toEqual(original.next())
        expect(resumed.state()).toEqual(original.state())
      }),
      { numRuns: 20 },
    )
  })

  it('leaves out long examples, and refuses data without any that fit', () => {
    const short = new DrawnEpochs(epoch, { ...size, inputLength: 6 })
    while (short.epochs < 1) expect(short.get(short.draw()).inputs.length).toBeLessThanOrEqual(6)
    expect(short.skipped).toBeGreaterThan(3)
    const cut = new DrawnEpochs(epoch, { ...size, inputLength: 6, tooLong: 'truncate' })
    const lengths = Array.from({ length: 25 }, () => cut.get(cut.draw()).inputs.length)
    expect([Math.max(...lengths), cut.skipped, cut.truncated]).toEqual([6, 0, short.skipped])
    const none = new DrawnEpochs(epoch, { ...size, inputLength: 2 })
    expect(() => none.draw()).toThrow(/examples are longer than 2 input or 12 target tokens/)
  })

  it('refuses other examples and values that are not its state', () => {
    const iterator = begin()
    for (let i = 0; i < 5; i++) iterator.next()
    const state = iterator.state()
    const other = new TrainIterator(new DrawnEpochs(seed => epoch(seed + 1), size), size)
    expect(() => other.restore(state)).toThrow(/differ from those that this run began with/)
    const withContent = (content?: number) => new TrainIterator(new DrawnEpochs(epoch, size, { content }), size)
    const known = withContent(7).state()
    withContent(7).restore(known)
    expect(() => withContent(8).restore(known)).toThrow(/differ from those that this run began with/)
    // A run of an older version did not record it.
    withContent(8).restore(begin().state())
    const bad = [{ position: 99 }, { position: -1 }, { carried: [3] }, { carried: [[0]] }, { carried: [[9, 0]] }]
    for (const change of [...bad, { carried: [[0, 99]] }, { more: 1 }])
      expect(() => begin().restore({ ...state, ...change })).toThrow(ConfigError)
  })
})
