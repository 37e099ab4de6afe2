import { beforeEach, describe, expect, it } from 'vitest'
import { memorySource, pagedParameters } from '../../../test/memory-source.js'
import type { BeforeRead } from '../../../test/memory-source.js'
import { sparseModel } from '../../../test/small-model.js'
import { FileError } from '../../base/errors.js'
import { leavesWithPaths } from '../../base/pytree.js'
import { expertName } from '../../checkpoint/experts/source.js'
import type { ExpertSource } from '../../checkpoint/experts/source.js'
import { jit } from '../../engine/api/jit.js'
import * as random from '../../engine/api/random.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { initParameters } from '../../model/init.js'
import { declareParameters } from '../../model/parameters.js'
import { preset } from '../../model/presets.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { plainCodec } from '../../text/codec.js'
import { Pager } from '../paging/pager.js'
import { TextEmbedder } from './text-embedder.js'
import type { EmbeddedText, EmbedOptions } from './text-embedder.js'

const vocabulary = new ByteVocabulary()
const { router } = preset('switch-base-8')
const config = sparseModel({ vocabSize: vocabulary.size, numExperts: 8 })
const specs = declareParameters(config, router).filter(({ place }) => place.stack !== 'decoder')
const texts = ['a', 'hello', 'be', 'switch', 'yard', 'on']

/** A product's last bits depend on how many rows an expert has. */
const expectClose = (vector: Float32Array, expected: Float32Array): void =>
  vector.forEach((x, i) => expect(x).toBeCloseTo(expected[i], 4))

describe('an embedder whose experts are paged', () => {
  let source: ExpertSource
  let pager: Pager
  let embedder: TextEmbedder
  let beforeRead: BeforeRead | undefined

  /** With memory for so many experts. */
  async function open(slots: number): Promise<void> {
    const entries = new Map(leavesWithPaths<Tensor>(jit(() => initParameters(specs, random.key(5)))()))
    source = await memorySource(specs, entries, (...read) => beforeRead?.(...read))
    pager = new Pager(source, { memory: slots * source.stacks[0].bytes })
    embedder = new TextEmbedder({
      weights: { model: pagedParameters(entries, pager, source), dense: [] },
      options: { config: { ...config, dtype: 'float32' }, router, mode: 'eval' },
      head: { modes: ['mean'], includePrompt: true, layers: [] },
      codec: plainCodec(vocabulary),
      dimension: config.dModel,
      prompts: {},
      similarity: 'cosine',
      experts: {
        during: (readers, pass) => pager.during(readers, pass),
        statistics: () => ({ memoryBytes: 0, maxMemoryBytes: 0, traffic: source.traffic(), stacks: [] }),
      },
    })
  }

  async function each(options?: EmbedOptions): Promise<EmbeddedText[]> {
    const all: EmbeddedText[] = []
    for await (const batch of embedder.embedEach(texts, options)) all.push(...batch)
    return all.sort((a, b) => a.index - b.index)
  }

  beforeEach(() => {
    beforeRead = undefined
  })

  it('fails the texts whose tokens met an expert that cannot be read, and no others', async () => {
    await open(1)
    const expected = await embedder.embed(texts)
    const failures: number[] = []
    for (let damaged = 0; damaged < 8; damaged++) {
      const name = expertName(source.stacks[0], damaged)
      beforeRead = (stack, expert) => {
        if (stack === 0 && expert === damaged) throw new FileError(`memory: ${name} is damaged`)
      }
      const results = await each()
      failures.push(results.filter(text => 'error' in text).length)
      for (const text of results)
        if ('error' in text) expect(text.error).toMatchObject({ message: `memory: ${name} is damaged (read 3 times)` })
        else expectClose(text.vector, expected[text.index])
      if (failures[damaged] > 0) await expect(embedder.embed(texts)).rejects.toThrow(name)
    }
    expect(failures.some(count => count > 0 && count < texts.length)).toBe(true)
    expect(failures.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(texts.length)
    beforeRead = undefined
    expect(await embedder.embed(texts)).toEqual(expected)
  })

  it('reads nothing more after an abort', async () => {
    await open(1)
    await embedder.embed(texts)
    const stop = new AbortController()
    let reads = 0
    beforeRead = () => {
      reads++
      stop.abort(new Error('stopped'))
    }
    await expect(embedder.embed(texts, { signal: stop.signal })).rejects.toThrow('stopped')
    expect(reads).toBe(1)
    beforeRead = undefined
    await embedder.embed(texts)
  })

  it('takes several calls at the same time, each with its own failures', async () => {
    await open(2)
    const alone = [await embedder.embed(['switch']), await embedder.embed(['yard'])]
    beforeRead = (stack, expert) => {
      if (stack === 0 && expert === 3) throw new FileError(`memory: ${expertName(source.stacks[0], 3)} is damaged`)
    }
    const expected = await Promise.all(texts.map(text => embedder.embed([text]).catch(() => undefined)))
    expect(new Set(expected.map(vectors => vectors === undefined)).size).toBe(2)
    for (const results of await Promise.all([each(), each()]))
      results.forEach((text, i) => {
        if ('error' in text) expect(expected[i]).toBeUndefined()
        else expectClose(text.vector, expected[i]![0])
      })
    beforeRead = undefined
    expect([await embedder.embed(['switch']), await embedder.embed(['yard'])]).toEqual(alone)
  })
})
