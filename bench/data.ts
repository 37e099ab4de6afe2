/**
 * Times the preparation of training data on one thread, in tokens of the source a second. Processor time is reported as
 * well as elapsed time, because it is the same on a busy machine.
 */
import { parseArgs } from 'node:util'
import { formatTable } from '../src/base/format.js'
import { encDecConverter } from '../src/data/converters/enc-dec.js'
import { datasetOf } from '../src/data/dataset.js'
import type { Dataset } from '../src/data/dataset.js'
import { seqioPipeline } from '../src/data/pipeline.js'
import type { TokenFields } from '../src/data/packing/segments.js'
import type { Fields } from '../src/data/preprocessor.js'
import { randomSpansNoiseMask } from '../src/data/preprocessors/noise/random-spans.js'
import { spanCorruption } from '../src/data/preprocessors/span-corruption.js'
import { RandomDataset } from '../src/data/random/random-dataset.js'
import { seedOf } from '../src/data/random/seed.js'
import { ShuffleOrder } from '../src/data/random/shuffle-order.js'
import { randomBits } from '../src/data/random/stateless.js'
import type { Vocabulary } from '../src/text/vocabulary.js'
import { median } from './results.js'

const { values: options } = parseArgs({
  options: { tokens: { type: 'string', default: '4000000' }, turns: { type: 'string', default: '5' } },
})
const TOKENS = Number(options.tokens)

/** Documents of random lengths, exponentially distributed. */
function documents(tokens: number, meanLength: number): { targets: Int32Array }[] {
  const all: { targets: Int32Array }[] = []
  for (let made = 0; made < tokens; made += all.at(-1)!.targets.length) {
    const [word] = randomBits(seedOf(all.length, 1), 1)
    const length = 1 + Math.floor(-meanLength * Math.log((word + 1) / 2 ** 32))
    all.push({ targets: randomBits(seedOf(all.length, 2), length).map(bits => 3 + (bits % 31_000)) as never })
  }
  return all.map(({ targets }) => ({ targets: Int32Array.from(targets) }))
}

const corpus = documents(TOKENS, 500)
const sentences = documents(TOKENS, 20)
const corpusTokens = corpus.reduce((sum, { targets }) => sum + targets.length, 0)
const vocabulary = { size: 32_100, eosId: 1, sentinelIds: [32_099] } as unknown as Vocabulary
const features = { inputs: { vocabulary }, targets: { vocabulary } }
const lengths = { inputs: 512, targets: 114 }

const corrupted = (shuffleBufferSize: number | null = null, source: readonly Fields[] = corpus): Dataset<TokenFields> =>
  seqioPipeline(datasetOf(source), {
    preprocessors: [spanCorruption()],
    features,
    lengths,
    seed: 0,
    shuffleBufferSize,
  }) as Dataset<TokenFields>

/** Pairs of short sequences, of which 512 + 114 tokens hold about 12. */
const pairs: TokenFields[] = []
let pairTokens = 0
for (let i = 0; pairTokens < TOKENS; i++) {
  const [a, b] = randomBits(seedOf(i, 3), 2)
  const pair = { inputs: new Int32Array(1 + (a % 80)).fill(7), targets: new Int32Array(1 + (b % 17)).fill(9) }
  pairTokens += pair.inputs.length + pair.targets.length
  pairs.push(pair)
}

function readAll(dataset: Dataset<unknown>): void {
  const { length } = dataset
  for (let i = 0; i < length; i++) dataset.get(i)
}

const segment = corpus.length
const works: { [name: string]: { tokens: number; run: () => void } } = {
  'Philox: random words': { tokens: TOKENS, run: () => void randomBits(seedOf(1, 2), TOKENS) },
  'RandomDataset: words one by one': {
    tokens: TOKENS / 10,
    run: () => {
      const random = new RandomDataset(0)
      for (let i = 0; i < TOKENS / 10; i++) random.get(i)
    },
  },
  'random spans: masks of 568 tokens': {
    tokens: TOKENS,
    run: () => {
      for (let i = 0; i < TOKENS / 568; i++) randomSpansNoiseMask(568, 0.15, [seedOf(i, 0), seedOf(segment, i)])
    },
  },
  'span corruption: documents to inputs and targets': { tokens: corpusTokens, run: () => readAll(corrupted()) },
  'span corruption and shuffle (buffer 1,000)': { tokens: corpusTokens, run: () => readAll(corrupted(1000)) },
  'span corruption of sentences (20 tokens), in random order': {
    tokens: TOKENS,
    run: () => {
      const examples = corrupted(null, sentences)
      const { length } = examples
      // A prime number of steps on visits each example once.
      for (let i = 0; i < length; i++) examples.get((i * 7919) % length)
    },
  },
  'span corruption, packed in rows': {
    tokens: corpusTokens,
    run: () => readAll(encDecConverter({ pack: true }).convert(corrupted(), lengths)),
  },
  'short pairs, packed in rows': {
    tokens: pairTokens,
    run: () => readAll(encDecConverter({ pack: true }).convert(datasetOf(pairs), lengths)),
  },
  'short pairs, packed in rows, first fit': {
    tokens: pairTokens,
    run: () => readAll(encDecConverter({ pack: true, useCustomPackingOps: true }).convert(datasetOf(pairs), lengths)),
  },
  'shuffle order (buffer 1,000,000)': {
    tokens: TOKENS,
    run: () => {
      const order = new ShuffleOrder({ length: Infinity, bufferSize: 1e6, seed: 0 })
      for (let i = 0; i < TOKENS; i++) order.get(i)
    },
  },
}

/** Millions of tokens a second, by elapsed and by processor time. */
function timed({ tokens, run }: { tokens: number; run: () => void }): { elapsed: number; processor: number } {
  const before = process.cpuUsage()
  const start = performance.now()
  run()
  const milliseconds = performance.now() - start
  const { user, system } = process.cpuUsage(before)
  return { elapsed: tokens / milliseconds / 1000, processor: tokens / (user + system) }
}

const results = new Map(Object.keys(works).map(name => [name, [] as ReturnType<typeof timed>[]]))
for (let turn = 0; turn < Number(options.turns); turn++)
  for (const [name, work] of Object.entries(works)) results.get(name)!.push(timed(work))
const figure = (values: readonly number[]): string => median(values).toFixed(1)
console.log(
  formatTable([
    ['', 'M/s elapsed', 'M/s processor'],
    ...[...results].map(([name, turns]) => [
      name,
      figure(turns.map(turn => turn.elapsed)),
      figure(turns.map(turn => turn.processor)),
    ]),
  ]),
)
