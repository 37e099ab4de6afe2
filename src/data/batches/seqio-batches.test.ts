import { describe, expect, it } from 'vitest'
import type { Vocabulary } from '../../text/vocabulary.js'
import { encDecConverter } from '../converters/enc-dec.js'
import { datasetOf } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import type { TokenFields } from '../packing/segments.js'
import { cacheDatasetPlaceholder, seqioPipeline } from '../pipeline.js'
import type { Preprocessor } from '../preprocessor.js'
import { appendEosAfterTrim } from '../preprocessors/seqio/eos.js'
import { spanCorruption } from '../preprocessors/span-corruption.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { makeTask, taskCodec } from '../task.js'
import { SeqioBatches } from './seqio-batches.js'
import { seqioBatches } from './seqio-order.js'

const vocabulary = { size: 1000, sentinelIds: [999], eosId: 1 } as unknown as Vocabulary
const documents = Array.from({ length: 50 }, (_, i) => ({
  targets: Int32Array.from({ length: (i * 7) % 23 }, (_, k) => 3 + ((31 * i + k) % 900)),
}))
const pipeline = {
  preprocessors: [
    cacheDatasetPlaceholder(),
    spanCorruption({ mergeExamplesToReducePadding: false }),
    appendEosAfterTrim(),
  ],
  features: { inputs: { vocabulary }, targets: { vocabulary } },
  seed: 11,
  shuffleBufferSize: 20,
}
const lengths = { inputs: 24, targets: 12 }
const batches = (source = datasetOf(documents)): SeqioBatches =>
  new SeqioBatches(source, { ...pipeline, rows: 4, inputLength: lengths.inputs, targetLength: lengths.targets })

describe('SeqioBatches', () => {
  it("gives the rows of SeqIO's converter, in order", async () => {
    const examples = seqioPipeline(datasetOf(documents), { ...pipeline, lengths, epochs: null }) as Dataset<TokenFields>
    const rows = encDecConverter({ pack: true }).convert(examples, lengths)
    const stream = batches()
    for (let batch = 0; batch < 20; batch++) {
      const { features } = await stream.next()
      for (const name of ['encoder_input_tokens', 'decoder_input_tokens', 'decoder_segment_ids'] as const) {
        const { data, shape } = features[name]
        const expected = Array.from({ length: 4 }, (_, r) => [...rows.get(4 * batch + r)[name]])
        expect(shape).toEqual([4, expected[0].length])
        expect([...data]).toEqual(expected.flat())
      }
    }
    expect(stream.epochs).toBeGreaterThan(1)
  })

  it('goes on from a saved state with the same batches, without those before it', async () => {
    const stream = batches()
    for (let batch = 0; batch < 13; batch++) await stream.next()
    const state: unknown = JSON.parse(JSON.stringify(stream.state()))
    const resumed = batches()
    resumed.restore(state)
    expect(resumed.epochs).toBe(stream.epochs)
    for (let batch = 0; batch < 5; batch++) expect(await resumed.next()).toEqual(await stream.next())
  })

  it('computes what is before the cache placeholder once', async () => {
    let computed = 0
    const counted: Preprocessor = {
      name: 'counted',
      apply: dataset => ({ length: dataset.length, get: index => (computed++, dataset.get(index)) }),
    }
    const stream = new SeqioBatches(datasetOf(documents), {
      ...pipeline,
      preprocessors: [counted, ...pipeline.preprocessors],
      rows: 4,
      inputLength: lengths.inputs,
      targetLength: lengths.targets,
    })
    for (let batch = 0; batch < 20; batch++) await stream.next()
    expect(stream.epochs).toBeGreaterThan(1)
    expect(computed).toBe(documents.length + 1)
  })

  it('refuses the state of other data, and no data', () => {
    const state = batches().state()
    expect(() => batches(datasetOf(documents.slice(10))).restore(state)).toThrow('the training examples differ')
    const { seed, shuffleBufferSize } = pipeline
    const size = {
      rows: 4,
      inputLength: lengths.inputs,
      targetLength: lengths.targets,
      shuffleBuffer: shuffleBufferSize,
    }
    const task = (last: string) =>
      makeTask({
        name: 'late',
        codec: taskCodec({ inputs: new ByteVocabulary(), targets: new ByteVocabulary() }),
        splits: {
          train: [...Array.from({ length: 99 }, (_, i) => `${i}`), last].map(input => ({
            input,
            target: 'x',
            alternatives: [],
          })),
          validation: [],
          test: [],
        },
      })
    const late = seqioBatches(task('99'), { ...size, seed })
    seqioBatches(task('99'), { ...size, seed }).restore(late.state())
    expect(() => seqioBatches(task('another'), { ...size, seed }).restore(late.state())).toThrow(
      'the training examples differ',
    )
    expect(() => batches().restore({ ...state, row: 1e6 })).toThrow('block 0 has')
    expect(() => batches().restore({})).toThrow("not the state of SeqIO's batches")
    expect(() => batches(datasetOf([{ targets: new Int32Array(0) }]))).toThrow('there are no examples to train on')
  })
})
