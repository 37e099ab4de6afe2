import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Dataset } from '../dataset.js'
import type { TokenExample } from '../features.js'
import { TrainIterator } from '../iterator.js'
import type { TrainBatch } from '../iterator.js'
import type { ExampleStream } from '../streams/example-stream.js'
import { DrawnEpochs } from '../streams/drawn-epochs.js'
import { MixedStream } from '../streams/mixed-stream.js'
import { shareStream } from '../streams/shared-stream.js'
import { StoredEpochs, storeExamples } from '../streams/stored-epochs.js'
import { PrefetchedBatches } from './prefetch.js'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-worker-'))
const script = pathToFileURL(join(folder, 'worker.mjs'))
beforeAll(async () => {
  const worker = resolve(import.meta.dirname, 'worker.ts')
  await build({
    entryPoints: [worker],
    outfile: join(folder, 'worker.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
  })
})
afterAll(() => rmSync(folder, { recursive: true }))

const size = { rows: 3, inputLength: 16, targetLength: 12, seed: 4 }
const examples = (first: number): Dataset<TokenExample> => ({
  length: 60,
  get: i => ({
    inputs: Int32Array.from([first + i, ...Array<number>(i % 9).fill(2), 1]),
    targets: Int32Array.from([first + i, ...Array<number>(i % 5).fill(2), 1]),
  }),
})
const stored = (first: number): ExampleStream => new StoredEpochs(storeExamples(examples(first), size), size.seed)
const mixed = (): ExampleStream => new MixedStream([stored(10), stored(500)], [1, 2], size.seed)

const prefetched = (stream: ExampleStream): PrefetchedBatches =>
  new PrefetchedBatches(new TrainIterator(stream, size), shareStream(stream)!, size, script)

async function take(batches: PrefetchedBatches, count: number): Promise<TrainBatch[]> {
  const taken: TrainBatch[] = []
  for (let i = 0; i < count; i++) taken.push(await batches.next())
  return taken
}

describe('batches from a worker thread', () => {
  it.each([
    ['a task', () => stored(10)],
    ['a mixture', mixed],
  ])('are those of this thread, for %s, with the same state after each', async (_, make) => {
    const batches = prefetched(make())
    const local = new TrainIterator(make(), size)
    for (let i = 0; i < 40; i++) {
      expect(await batches.next()).toEqual(local.next())
      expect(batches.state()).toEqual(local.state())
    }
    expect(batches.secondsWaited).toBeGreaterThan(0)
    await batches.stop()
  })

  it('go on after a stop, and after a restore to any position', async () => {
    const batches = prefetched(mixed())
    const local = new TrainIterator(mixed(), size)
    const states = [local.state()]
    const expected = Array.from({ length: 30 }, () => {
      const batch = local.next()
      states.push(local.state())
      return batch
    })
    expect(await take(batches, 5)).toEqual(expected.slice(0, 5))
    await batches.stop()
    expect(batches.state()).toEqual(states[5])
    expect(await take(batches, 9)).toEqual(expected.slice(5, 14))
    batches.restore(JSON.parse(JSON.stringify(states[2])))
    expect(batches.state()).toEqual(states[2])
    expect(await take(batches, 8)).toEqual(expected.slice(2, 10))
    expect(() => batches.restore({ ...states[2], seed: 5 })).toThrow('this run began with the data seed 5, not 4')
    await batches.stop()
  })

  it('that cannot be prepared are an error, and not an endless wait', async () => {
    const stream = stored(10)
    const missing = pathToFileURL(join(folder, 'none.mjs'))
    const batches = new PrefetchedBatches(new TrainIterator(stream, size), shareStream(stream)!, size, missing)
    await batches.next()
    await expect(batches.next()).rejects.toThrow('the thread that prepares batches has failed')
    await batches.stop()
  })

  it('are not had from random preprocessors, which are functions', () => {
    const random = new DrawnEpochs(() => examples(10), size)
    expect(shareStream(random)).toBeUndefined()
    expect(shareStream(new MixedStream([stored(10), random], [1, 1], 0))).toBeUndefined()
  })
})
