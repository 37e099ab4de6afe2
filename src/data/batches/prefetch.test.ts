import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ByteVocabulary } from '../../text/bytes.js'
import type { Dataset } from '../dataset.js'
import type { TokenExample } from '../features.js'
import { TrainIterator } from '../iterator.js'
import type { IteratorOptions, TrainBatch } from '../iterator.js'
import { onLongWork } from '../long-work.js'
import type { ExampleStream } from '../streams/example-stream.js'
import { DrawnEpochs } from '../streams/drawn-epochs.js'
import { MixedStream } from '../streams/mixed-stream.js'
import { shareStream } from '../streams/shared-stream.js'
import { StoredEpochs, storeExamples } from '../streams/stored-epochs.js'
import { taskStream } from '../streams/task-stream.js'
import { taskCodec } from '../task.js'
import type { Task } from '../task.js'
import { withLoader } from '../task-loader.js'
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
  new PrefetchedBatches(new TrainIterator(stream, size), shareStream(stream)!, size, { script })

/** Lets the worker's messages come. */
const turn = (): Promise<void> => setTimeout(2)

async function take(batches: PrefetchedBatches, count: number): Promise<TrainBatch[]> {
  const taken: TrainBatch[] = []
  for (let i = 0; i < count; i++) {
    taken.push(await batches.next())
    await turn()
  }
  return taken
}

describe('batches from a worker thread', () => {
  it.each([
    ['a task', () => stored(10)],
    ['a mixture', mixed],
    ['buckets', () => stored(10), { packing: false, buckets: 2 }],
  ] as const)(
    'are those of this thread, for %s, with the same state after each',
    async (_, make, more: Partial<IteratorOptions> = {}) => {
      const [stream, options] = [make(), { ...size, ...more }]
      const iterator = new TrainIterator(stream, options)
      const batches = new PrefetchedBatches(iterator, shareStream(stream)!, options, { script })
      const local = new TrainIterator(make(), options)
      for (let i = 0; i < 40 || batches.prepared < 20; i++) {
        expect(await batches.next()).toEqual(local.next())
        expect(batches.state()).toEqual(local.state())
        await turn()
      }
      expect(batches.secondsWaited).toBeGreaterThan(0)
      await batches.stop()
    },
  )

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

  /** A task of random examples, in a module of its own, which the worker loads. */
  const taskModule = (body = ''): string => `
    export const examples = seed => ({ length: 60, get: i => { ${body}
      return { inputs: Int32Array.of(10 + i, seed >>> 1, 1), targets: Int32Array.of(10 + i, 1) } } })
    export const loadInThread = () => ({ name: 'drawn', isRandom: true, tokens: (_, { seed }) => examples(seed) })`
  const drawn = async (name: string, inThread: string, here = taskModule()): Promise<ExampleStream> => {
    const module = (file: string): string => pathToFileURL(join(folder, file)).href
    writeFileSync(join(folder, `${name}-here.mjs`), here)
    writeFileSync(join(folder, `${name}.mjs`), inThread)
    const { loadInThread } = (await import(module(`${name}-here.mjs`))) as { loadInThread: () => Task }
    const vocabulary = new ByteVocabulary()
    const task = { ...loadInThread(), codec: taskCodec({ inputs: vocabulary, targets: vocabulary }) }
    return taskStream(withLoader(task, { module: module(`${name}.mjs`), argument: null }), size)
  }
  const loaded = (stream: ExampleStream): PrefetchedBatches =>
    new PrefetchedBatches(new TrainIterator(stream, size), shareStream(stream)!, size, {
      script,
      loadedAfterSeconds: 0,
    })

  it("of random preprocessors, which the worker loads again, are this thread's", async () => {
    const batches = loaded(await drawn('same', taskModule()))
    const local = new TrainIterator(await drawn('same', taskModule()), size)
    for (let i = 0; i < 20 || batches.prepared < 20; i++) {
      expect(await batches.next()).toEqual(local.next())
      expect(batches.state()).toEqual(local.state())
      await turn()
    }
    const state = batches.state()
    const expected = [local.next(), local.next()]
    expect(await take(batches, 2)).toEqual(expected)
    batches.restore(state)
    expect(await take(batches, 2)).toEqual(expected)
    await batches.stop()
  })

  it('are made on this thread if the worker cannot load the task, or loads another one, which is said', async () => {
    const other = taskModule().replace('10 + i', '11 + i')
    for (const [name, inThread, reason] of [
      ['missing', 'throw new Error("no such data")', 'no such data'],
      ['other', other, 'the training examples differ'],
      ['ends', 'process.exit(3)', 'it ended with code 3'],
      ['later', 'setTimeout(() => { throw new Error("no socket") }); await new Promise(() => {})', 'no socket'],
    ]) {
      const notices: string[] = []
      onLongWork({ progress: () => undefined, notice: message => notices.push(message) })
      const batches = loaded(await drawn(name, inThread))
      const local = new TrainIterator(await drawn(name, inThread), size)
      for (let i = 0; i < 1000 && notices.length === 0; i++) {
        expect(await batches.next()).toEqual(local.next())
        await turn()
      }
      expect(notices).toEqual([expect.stringContaining(`cannot: ${reason}`)])
      expect(await batches.next()).toEqual(local.next())
      expect(batches.prepared).toBe(0)
      onLongWork(undefined)
      await batches.stop()
    }
  })

  it('are made on this thread, with one notice, if the worker cannot start, or fails in the middle', async () => {
    writeFileSync(join(folder, 'throws.mjs'), 'throw new Error("no config here")')
    const middle = `import { parentPort } from 'node:worker_threads'
      import './worker.mjs'
      let taken = 0
      parentPort.on('message', () => { if (++taken === 300) throw new Error("no memory") })`
    writeFileSync(join(folder, 'middle.mjs'), middle)
    for (const [name, reason] of [
      ['none', 'Cannot find module'],
      ['throws', 'no config here'],
      ['middle', 'no memory'],
    ]) {
      const notices: string[] = []
      onLongWork({ progress: () => undefined, notice: message => notices.push(message) })
      const stream = stored(10)
      const batches = new PrefetchedBatches(new TrainIterator(stream, size), shareStream(stream)!, size, {
        script: pathToFileURL(join(folder, `${name}.mjs`)),
      })
      const local = new TrainIterator(stored(10), size)
      for (let i = 0; i < 2000 && notices.length === 0; i++) {
        expect(await batches.next()).toEqual(local.next())
        expect(batches.state()).toEqual(local.state())
        await turn()
      }
      expect(await batches.next()).toEqual(local.next())
      expect(notices).toEqual([expect.stringContaining(`cannot: ${reason}`)])
      expect(batches.prepared > 0).toBe(name === 'middle')
      onLongWork(undefined)
      await batches.stop()
    }
  })

  it('count the examples that the worker leaves out, after a restore too', async () => {
    const long = taskModule('if (i < 9) return { inputs: new Int32Array(17), targets: Int32Array.of(1) }')
    const batches = loaded(await drawn('long', long, long))
    const local = new TrainIterator(await drawn('long', long, long), size)
    const counts = ({ skipped, truncated }: TrainIterator | PrefetchedBatches): number[] => [skipped, truncated]
    let saved: { state: unknown; counts: number[] } | undefined
    for (let i = 0; i < 20 || batches.prepared < 20; i++) {
      await batches.next()
      local.next()
      expect(counts(batches)).toEqual(counts(local))
      if (i === 9) saved = { state: batches.state(), counts: counts(batches) }
      await turn()
    }
    expect(batches.skipped).toBeGreaterThan(9)
    batches.restore(saved!.state)
    expect(counts(batches)).toEqual(saved!.counts)
    await batches.stop()
  })

  it('end with an error that names the example that cannot be made', async () => {
    const failing = taskModule('if (i === 33 && seed !== 4) throw new TypeError("no letters")')
    const batches = loaded(await drawn('failing', failing, failing))
    await expect(take(batches, 1000)).rejects.toThrow(
      /drawn: training example 33 of epoch 1 cannot be made: no letters/,
    )
    await batches.stop()
  })

  it('are made on this thread if nothing says how a worker loads the task', () => {
    const random = new DrawnEpochs(() => examples(10), size)
    expect(shareStream(random)).toBeUndefined()
    expect(shareStream(new MixedStream([stored(10), random], [1, 1], 0))).toBeUndefined()
  })
})
