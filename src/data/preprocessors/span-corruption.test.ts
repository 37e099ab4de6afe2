import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Vocabulary } from '../../text/vocabulary.js'
import { datasetOf } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import { seqioPipeline } from '../pipeline.js'
import type { PipelineOptions } from '../pipeline.js'
import type { Fields } from '../preprocessor.js'
import { spanCorruption } from './span-corruption.js'

const vocabulary = {
  size: 1000,
  sentinelIds: [999],
  eosId: 1,
  toJSON: () => ({ kind: 'test' }),
} as unknown as Vocabulary

/** Documents of these lengths, in which every token is different. A negative length: the first token is 0. */
function documents(lengths: readonly number[]): Fields[] {
  let next = 3
  return lengths.map(length => ({
    targets: Int32Array.from({ length: Math.abs(length) }, (_, i) => (length < 0 && i === 0 ? 0 : next++)),
  }))
}

const pipeline = (source: Dataset<Fields>, options: Partial<PipelineOptions> = {}): Dataset<Fields> =>
  seqioPipeline(source, {
    preprocessors: [spanCorruption()],
    features: { inputs: { vocabulary }, targets: { vocabulary } },
    lengths: { inputs: 20, targets: 10 },
    seed: 5,
    ...options,
  })

const someLengths = fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 300 })

describe('spanCorruption', () => {
  it('gives any example of any epoch at once, equal to that of a pass in order', () => {
    fc.assert(
      fc.property(someLengths, fc.boolean(), (lengths, merge) => {
        const preprocessors = [spanCorruption({ mergeExamplesToReducePadding: merge })]
        const source = datasetOf(documents(lengths))
        const finite = pipeline(source, { epochs: 5, preprocessors })
        const all = Array.from({ length: finite.length }, (_, i) => finite.get(i))
        const endless = pipeline(source, { epochs: null, preprocessors })
        // The last batch of documents of a finite number of epochs is not full.
        const shared = merge ? Math.floor((0.6 * all.length) | 0) : all.length
        if (all.length === 0) expect(endless.length).toBe(0)
        else expect(endless.length).toBe(Infinity)
        for (let i = shared - 1; i >= 0; i -= 3) expect(endless.get(i)).toEqual(all[i])
      }),
      { numRuns: 50 },
    )
  })

  it('reads the documents once to index them, whatever the epoch', () => {
    let reads = 0
    const all = documents(Array.from({ length: 1000 }, (_, i) => i % 37))
    const source = { length: all.length, get: (index: number) => (reads++, all[index]) }
    const endless = pipeline(source, { epochs: null })
    endless.get(1e9)
    const indexing = reads
    expect(indexing).toBeLessThan(2200)
    endless.get(123_456_789)
    endless.get(2e9 + 1)
    expect(reads - indexing).toBeLessThan(40)
  })

  it('cuts documents of more than 65,536 tokens at another place in each epoch, and finds any example', () => {
    const source = datasetOf(documents([66_000, 100, -67_000, 0, 140_000, 30]))
    const finite = pipeline(source, { epochs: 3 })
    const order = Array.from({ length: finite.length }, (_, i) => finite.get(i))
    const endless = pipeline(source, { epochs: null })
    for (let i = order.length - 500; i >= 0; i -= 1999) expect(endless.get(i)).toEqual(order[i])
  })

  it('counts the chunks of long documents without reading them', () => {
    let reads = 0
    const all = documents([66_000, 100, 140_000, 0, 30])
    const endless = pipeline({ length: all.length, get: index => (reads++, all[index]) }, { epochs: null })
    endless.get(1e7)
    expect(reads).toBeLessThan(100)
  })

  it('uses every token of documents without zeros exactly once an epoch', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 300 }), lengths => {
        const source = documents(lengths)
        const examples = pipeline(datasetOf(source))
        const seen: number[] = []
        for (let i = 0; i < examples.length; i++) {
          const { inputs, targets } = examples.get(i) as { inputs: Int32Array; targets: Int32Array }
          for (const token of [...inputs, ...targets]) if (token < 900 || token > 999) seen.push(token)
        }
        const expected = source.flatMap(({ targets }) => [...(targets as Int32Array)])
        expect(seen.sort((a, b) => a - b)).toEqual(expected.filter(token => token < 900 || token > 999))
      }),
      { numRuns: 50 },
    )
  })

  it('refuses targets that are too short for the noise', () => {
    expect(() => pipeline(datasetOf([]), { lengths: { inputs: 512, targets: 113 } })).toThrow(
      'spanCorruption needs targets of 114 tokens for inputs of 512, but their length is 113',
    )
    expect(() => pipeline(datasetOf([]), { lengths: null })).toThrow('needs the length of "inputs" in tokens')
  })

  it('needs room for text and EOS, and sentinels', () => {
    expect(() => pipeline(datasetOf([]), { lengths: { inputs: 1, targets: 10 } })).toThrow(
      'spanCorruption needs inputs of 2 or more tokens that are not reserved, for text and EOS, not 1',
    )
    const words = { ...vocabulary, sentinelIds: [] } as unknown as Vocabulary
    const features = { inputs: { vocabulary: words }, targets: { vocabulary: words } }
    expect(() => pipeline(datasetOf([]), { features })).toThrow('the vocabulary of "targets" has none')
  })

  it('takes other features along only without concatenation', () => {
    expect(() => spanCorruption({ passthroughFeatureKeys: ['id'] })).toThrow('cannot pass "id"')
    const [document] = documents([50])
    const examples = pipeline(datasetOf([{ ...document, id: 'a' }]), {
      preprocessors: [spanCorruption({ mergeExamplesToReducePadding: false, passthroughFeatureKeys: ['id'] })],
    })
    expect(examples.get(1).id).toBe('a')
  })

  it('needs token ids', () => {
    expect(() => pipeline(datasetOf([{ targets: 'text' }])).get(0)).toThrow(
      'selectRandomChunk needs token ids in "targets", but an example has text instead: put tokenize before it',
    )
    expect(() => pipeline(datasetOf([{ text: 'text' }])).get(0)).toThrow('an example has no such feature')
  })

  it('gives different spans in each epoch', () => {
    const endless = pipeline(datasetOf(documents([60])), {
      lengths: { inputs: 60, targets: 30 },
      epochs: null,
      preprocessors: [spanCorruption({ mergeExamplesToReducePadding: false })],
    })
    const epochs = Array.from({ length: 8 }, (_, i) => String(endless.get(i).inputs))
    expect(new Set(epochs).size).toBeGreaterThan(4)
  })
})
