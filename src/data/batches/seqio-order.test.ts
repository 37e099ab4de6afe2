import { describe, expect, it } from 'vitest'
import { toNumbers } from '../../base/host-tensor.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { encDecConverter } from '../converters/enc-dec.js'
import { defineTask } from '../define-task.js'
import { defineMixture } from '../mixture.js'
import { mixDatasets } from '../mixing/mix-datasets.js'
import type { TokenFields } from '../packing/segments.js'
import { cacheDatasetPlaceholder, seqioPipeline } from '../pipeline.js'
import { appendEos } from '../preprocessors/seqio/eos.js'
import { rekey } from '../preprocessors/seqio/rekey.js'
import { tokenize } from '../preprocessors/seqio/tokenize.js'
import { spanCorruption } from '../preprocessors/span-corruption.js'
import { functionSource } from '../sources/iterable-source.js'
import { seqioBatches } from './seqio-order.js'
import type { BatchStream } from './stream.js'

const vocabulary = new ByteVocabulary()
const features = { inputs: { vocabulary }, targets: { vocabulary } }
const lengths = { inputs: 32, targets: 24 }
const size = { rows: 4, inputLength: 32, targetLength: 24, seed: 11, shuffleBuffer: 20 }
const texts = (name: string) => Array.from({ length: 60 }, (_, i) => ({ text: `${name} text number ${i} of many` }))
const preprocessors = [
  rekey({ inputs: null, targets: 'text' }),
  tokenize({ copyPretokenized: false }),
  cacheDatasetPlaceholder(),
  spanCorruption(),
  appendEos(),
]
const corrupted = (name: string) =>
  defineTask({
    name,
    source: functionSource(name, () => texts(name), { splits: ['train', 'test'] }),
    preprocessors,
    features,
    // As in SeqIO: no validation split is taken from the training split.
    splitBy: null,
  })
/** SeqIO's pipeline itself, which test/parity compares with SeqIO's values. */
const pipeline = (name: string) =>
  seqioPipeline(
    { length: 60, get: i => texts(name)[i] },
    { preprocessors, features, lengths, seed: size.seed, epochs: null, shuffleBufferSize: 20 },
  ) as { length: number; get(index: number): TokenFields }

const inputsOf = async (batches: BatchStream): Promise<number[]> =>
  toNumbers((await batches.next()).features.encoder_input_tokens)

describe("batches in SeqIO's order", () => {
  it("are the rows of SeqIO's pipeline, converter and packing, over several epochs", async () => {
    const batches = seqioBatches(await corrupted('a').load(), size)
    const rows = encDecConverter().convert(pipeline('a'), lengths)
    for (let batch = 0; batch < 50; batch++) {
      const expected = [0, 1, 2, 3].flatMap(row => [...rows.get(4 * batch + row).encoder_input_tokens])
      expect(await inputsOf(batches)).toEqual(expected)
    }
  })

  it('draw from the tasks of a mixture as SeqIO does', async () => {
    const mixture = defineMixture({
      name: 'm',
      tasks: [
        { task: corrupted('b'), rate: 1 },
        { task: corrupted('a'), rate: 3 },
      ],
    })
    const batches = seqioBatches(await mixture.load(), size)
    const rows = encDecConverter().convert(mixDatasets([pipeline('a'), pipeline('b')], [3, 1], size.seed), lengths)
    for (let batch = 0; batch < 5; batch++) {
      const expected = [0, 1, 2, 3].flatMap(row => [...rows.get(4 * batch + row).encoder_input_tokens])
      expect(await inputsOf(batches)).toEqual(expected)
    }
  })

  it('resume exactly, and refuse other data', async () => {
    const original = seqioBatches(await corrupted('a').load(), size)
    for (let i = 0; i < 7; i++) await original.next()
    const saved: unknown = JSON.parse(JSON.stringify(original.state()))
    const resumed = seqioBatches(await corrupted('a').load(), size)
    resumed.restore(saved)
    expect(await resumed.next()).toEqual(await original.next())
    expect(resumed.state()).toEqual(original.state())
    expect(() => resumed.restore({ ...(saved as object), row: -1 })).toThrow('not the state of')
    const other = seqioBatches(await corrupted('b').load(), size)
    expect(() => other.restore(saved)).toThrow(/differ from those that this run began with/)
  })

  it('are had of tasks of text pairs too', async () => {
    const pairs = defineTask({
      name: 'pairs',
      source: functionSource('pairs', () => texts('p').map(({ text }) => ({ inputs: text, targets: 'y' })), {
        splits: ['train', 'test'],
      }),
      features,
    })
    const batch = await seqioBatches(await pairs.load(), { ...size, shuffleBuffer: 0 }).next()
    expect(vocabulary.decode(toNumbers(batch.features.encoder_input_tokens).slice(0, 32))).toBe(
      'p text number 0 of many',
    )
    expect([batch.examples, batch.tokens]).toEqual([4, 4 * (24 + 2)])
  })
})
