import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { build } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WordVocabulary } from '../../text/symbols.js'
import { datasetOf, mapDataset } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import { onLongWork } from '../long-work.js'
import type { Fields, Preprocessor } from '../preprocessor.js'
import { encodeTexts, unchanged } from '../preprocessors/encode-texts.js'
import { appendEos, appendEosAfterTrim } from '../preprocessors/seqio/eos.js'
import { tokenize } from '../preprocessors/seqio/tokenize.js'
import { MapSeedCounter } from '../random/seed-counter.js'
import { FieldStore } from '../streams/field-store.js'
import { FlatSequences } from '../streams/flat-sequences.js'
import { storeExamples } from '../streams/stored-epochs.js'
import { encodeAhead } from './encode-ahead.js'
import { storeTokens } from './store-tokens.js'
import type { Encoding } from './encoding.js'
import { beginEntry, openEntry, tokenFolder } from './token-cache.js'
import { TokenFile, TokenFileWriter } from './token-file.js'

const words = ['red', 'green', 'blue', 'a', 'b', 'c', 'd', 'e']
const vocabulary = new WordVocabulary(words)
const texts = (count: number): Dataset<Fields> => ({
  length: count,
  get: i => ({ inputs: words.slice(0, i % 7).join(' '), targets: words[i % 8] }),
})
const encoding = (changes: Partial<Encoding> = {}): Encoding => ({
  name: 'colors (train)',
  source: texts(300),
  stages: [tokenize({ copyPretokenized: false }), appendEos()],
  context: {
    features: { inputs: { vocabulary }, targets: { vocabulary } },
    lengths: null,
    seeds: new MapSeedCounter(0),
  },
  ...changes,
})
const listOf = <T>(examples: Dataset<T>): T[] => Array.from({ length: examples.length }, (_, i) => examples.get(i))
const direct = ({ source, stages, context }: Encoding): Fields[] =>
  listOf(stages.reduce((data, stage) => stage.apply(data, context), source))
/** Stores in the cache, however small the data is. */
const store = (given: Encoding): Fields[] => listOf(storeTokens(given, { leastSeconds: 0 })!.examples)

let folder: string
let notices: string[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-tokens-'))
  vi.stubEnv('SWITCHYARD_CACHE', folder)
  notices = []
  onLongWork({ progress: () => undefined, notice: message => notices.push(message) })
})
afterEach(() => {
  onLongWork(undefined)
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})
const entries = (): string[] => readdirSync(tokenFolder())

describe('encoded data in the cache', () => {
  it('is the same when it is found as when it is made, and then only samples are encoded', () => {
    const expected = direct(encoding())
    expect(store(encoding())).toEqual(expected)
    const encode = vi.spyOn(WordVocabulary.prototype, 'encode')
    expect(listOf(storeTokens(encoding({ source: texts(2000) }), { leastSeconds: 0 })!.examples)).toHaveLength(2000)
    const ofAll = encode.mock.calls.length
    encode.mockClear()
    expect(store(encoding())).toEqual(expected)
    expect(encode.mock.calls.length).toBeLessThan(ofAll / 4)
    expect(entries()).toHaveLength(2)
  })

  it('keeps texts too, lone surrogates included', () => {
    const odd = encoding({
      source: datasetOf([
        { inputs: 'red \ud800x', targets: '' },
        { inputs: '\u{1f600} blue', targets: 'green' },
      ]),
      stages: [tokenize()],
    })
    expect(store(odd)).toEqual(direct(odd))
    expect(store(odd)).toEqual(direct(odd))
  })

  it('is not written for data that takes a moment', () => {
    storeTokens(encoding())
    expect(() => entries()).toThrow('ENOENT')
  })

  it('is another entry for other content, preprocessors, features or vocabularies', () => {
    const other = new WordVocabulary([...words, 'f'])
    const { context } = encoding()
    const cases: Partial<Encoding>[] = [
      {},
      { source: texts(301) },
      { stages: [tokenize({ copyPretokenized: false })] },
      { context: { ...context, features: { inputs: { vocabulary, addEos: false }, targets: { vocabulary } } } },
      { context: { ...context, features: { inputs: { vocabulary: other }, targets: { vocabulary: other } } } },
    ]
    for (const change of cases) expect(store(encoding(change))).toEqual(direct(encoding(change)))
    expect(entries()).toHaveLength(cases.length)
  })

  it("follows a user's function that reads as before and returns something else", () => {
    const prefixed = (prefix: string): Encoding =>
      encoding({
        source: mapDataset(texts(300), fields => ({ ...fields, inputs: `${prefix} ${String(fields.inputs)}` })),
      })
    expect(store(prefixed('red'))).toEqual(direct(prefixed('red')))
    expect(store(prefixed('blue'))).toEqual(direct(prefixed('blue')))
  })

  it('has one EOS a text where a vocabulary returns the same array twice', () => {
    const ids = [3]
    const memoizing = Object.assign(new WordVocabulary(words), { encode: () => ids })
    const stage = encodeTexts('colors', unchanged)
    const context = { ...encoding().context, features: { inputs: { vocabulary: memoizing }, targets: { vocabulary } } }
    const inputs = direct(encoding({ stages: [stage], context })).map(example => example.inputs)
    expect(inputs).toEqual(inputs.map(() => Int32Array.of(3, 1)))
  })

  it("is not used with a vocabulary of a user's own, which is a function too", () => {
    const own = { ...encoding().context.features.inputs, vocabulary: Object.create(vocabulary) as WordVocabulary }
    const given = encoding({ context: { ...encoding().context, features: { inputs: own, targets: own } } })
    expect(store(given)).toEqual(direct(given))
    expect(() => entries()).toThrow('ENOENT')
  })

  it('depends on the lengths of a row only if a preprocessor reads them', () => {
    const withLengths = (inputs: number, stages = encoding().stages): Encoding =>
      encoding({ stages, context: { ...encoding().context, lengths: { inputs, targets: 4 } } })
    store(withLengths(3))
    store(withLengths(5))
    expect(entries()).toHaveLength(1)
    const trimmed = [tokenize({ copyPretokenized: false }), appendEosAfterTrim()]
    expect(store(withLengths(3, trimmed))).toEqual(direct(withLengths(3, trimmed)))
    expect(store(withLengths(5, trimmed))).toEqual(direct(withLengths(5, trimmed)))
    expect(entries()).toHaveLength(3)
  })

  it('that is damaged anywhere is said, and made again', () => {
    const expected = store(encoding())
    const path = join(tokenFolder(), entries()[0])
    const whole = readFileSync(path)
    const { length } = whole
    const flipped = (at: number): Buffer => {
      const copy = Buffer.from(whole)
      copy[at] ^= 1
      return copy
    }
    const damaged = [0, 1500, length >> 1, length - 150, length - 20, length - 14, length - 9, length - 1].map(flipped)
    for (const bytes of [...damaged, whole.subarray(0, length - 1), whole.subarray(0, 7), Buffer.alloc(length)]) {
      writeFileSync(path, bytes)
      notices = []
      expect(store(encoding())).toEqual(expected)
      expect(notices).toEqual([
        expect.stringMatching(/this file of encoded data is damaged \(.+\); the data is encoded again$/),
      ])
      expect(readFileSync(path).equals(whole)).toBe(true)
    }
  })

  it('has a name that no revision before had, so that data encoded by older rules is never found', () => {
    store(encoding())
    expect(entries()).toEqual([expect.stringMatching(/^r[2-9]-\w{40}$/)])
  })

  it.each([
    ['a disk error', () => Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' })],
    ['a file that was cut off', undefined],
  ])('is encoded again, which is said once, after %s in the middle of a run', (_, failure) => {
    const long = encoding({ source: texts(4000) })
    const expected = direct(long)
    const options = { inputLength: 16, targetLength: 8, seed: 0 }
    const { store: examples } = storeExamples(storeTokens(long, { leastSeconds: 0 })!.examples as never, options)
    expect(examples.get(3)).toEqual(expected[3])
    // The blocks that were read are kept: an example far from the first one is read from the file.
    const file = join(tokenFolder(), entries()[0])
    if (failure === undefined) truncateSync(file, 100)
    else
      vi.spyOn(TokenFile.prototype, 'get').mockImplementation(() => {
        throw failure()
      })
    expect(listOf(examples)).toEqual(expected)
    expect(notices).toEqual([
      expect.stringMatching(/^colors \(train\): the encoded data in the cache cannot be read \(.+\); from now on/),
    ])
    // Until the failure, examples came from the blocks of the file that were in memory.
    listOf(examples)
    const encode = vi.spyOn(WordVocabulary.prototype, 'encode')
    expect(listOf(examples)).toEqual(expected)
    expect(encode).not.toHaveBeenCalled()
  })

  it('that cannot be read while it is compared is made again, which is said', () => {
    const expected = store(encoding())
    vi.spyOn(TokenFile.prototype, 'get').mockImplementationOnce(() => {
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' })
    })
    const { examples } = storeTokens(encoding(), { leastSeconds: 0 })!
    const encode = vi.spyOn(WordVocabulary.prototype, 'encode')
    expect(listOf(examples)).toEqual(expected)
    expect(encode).not.toHaveBeenCalled()
    expect(notices).toEqual([
      expect.stringMatching(
        /^colors \(train\): the encoded data in the cache cannot be read \(.+\); it is made again$/,
      ),
    ])
  })

  it('that cannot be opened is made again, which is said', () => {
    const expected = store(encoding())
    const file = join(tokenFolder(), entries()[0])
    rmSync(file)
    mkdirSync(file)
    expect(store(encoding())).toEqual(expected)
    expect(notices[0]).toMatch(/this file of encoded data cannot be read \(.+\); the data is encoded again$/)
  })

  it('that other code has made is said, and made again', () => {
    const encode = vi.spyOn(WordVocabulary.prototype, 'encode').mockImplementation(() => [3])
    store(encoding())
    encode.mockRestore()
    const close = vi.spyOn(TokenFile.prototype, 'close')
    expect(store(encoding())).toEqual(direct(encoding()))
    expect(close).toHaveBeenCalledOnce()
    expect(notices).toEqual(['colors (train): the encoded data in the cache was made by other code; it is made again'])
  })

  it('that cannot be written is kept in memory, which is said', () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    vi.stubEnv('SWITCHYARD_CACHE', file)
    expect(store(encoding())).toEqual(direct(encoding()))
    expect(notices).toEqual([expect.stringContaining('cannot be kept for the next run')])
  })

  it('that is damaged as soon as it is written is kept in memory, which is said with its file', () => {
    vi.spyOn(TokenFileWriter.prototype, 'finish').mockImplementation(function (this: TokenFileWriter) {
      this.close()
    })
    expect(store(encoding())).toEqual(direct(encoding()))
    expect(notices).toEqual([expect.stringMatching(/next run: .*tokens.r\d+-\w{40} is not what was written \(.+\)/)])
  })

  it("throws a system error of the data's own source", () => {
    let isGone = false
    vi.spyOn(TokenFileWriter.prototype, 'add').mockImplementation(() => {
      isGone = true
    })
    const { length, get } = texts(300)
    const gone = Object.assign(new Error('a data file is gone'), { syscall: 'open', code: 'ENOENT' })
    const source: Dataset<Fields> = {
      length,
      get: i => {
        if (isGone) throw gone
        return get(i)
      },
    }
    expect(() => store(encoding({ source }))).toThrow(gone)
    expect(notices).toEqual([])
  })

  it('is not written for data that takes a moment while other threads are busy', () => {
    let user = 0
    vi.spyOn(process, 'cpuUsage').mockImplementation(() => ({ user: (user += 20_000), system: 0 }))
    storeTokens(encoding())
    expect(() => entries()).toThrow('ENOENT')
  })

  it('loses the least recently used entries when it is full, and what killed processes left', () => {
    const add = (name: string, maxBytes: number): void => {
      const entry = beginEntry(maxBytes)
      entry.add([new Int32Array(1000)])
      entry.finish(name, { fields: [{ name: 'inputs', kind: 'tokens' }], usesLengths: false })
    }
    for (const [i, name] of ['first', 'second', 'third'].entries()) {
      add(name, Infinity)
      utimesSync(join(tokenFolder(), name), 1000 + i, 1000 + i)
    }
    writeFileSync(join(tokenFolder(), 'left.part'), '')
    utimesSync(join(tokenFolder(), 'left.part'), 1000, 1000)
    expect(openEntry('first')).toBeDefined()
    const { size } = statSync(join(tokenFolder(), 'first'))
    add('fourth', 3 * size)
    expect(entries().sort()).toEqual(['first', 'fourth', 'third'])
    add('fifth', 1)
    expect(entries()).toEqual(['fifth'])
  })

  it('is whole when two processes make it at once, and can be read while it is replaced or removed', () => {
    const facts = { fields: [{ name: 'inputs', kind: 'tokens' as const }], usesLengths: false }
    const [one, two] = [beginEntry(), beginEntry()]
    one.add([Int32Array.of(5, 6)])
    two.add([Int32Array.of(5, 6)])
    const opened = one.finish('same', facts)
    two.finish('same', facts)
    rmSync(join(tokenFolder(), 'same'))
    expect(opened.sequences.get(0)).toEqual([Int32Array.of(5, 6)])
    expect(openEntry('same')).toBeUndefined()
  })

  it('has the batches of data in memory, also where examples are longer than a row', () => {
    const inFile = storeTokens(encoding(), { leastSeconds: 0 })!.examples
    const sequences = new FlatSequences(2)
    for (let i = 0; i < inFile.length; i++) sequences.add(inFile.sequences.get(i))
    const inMemory = new FieldStore(inFile.fields, sequences)
    for (const tooLong of ['skip', 'truncate'] as const) {
      const options = { inputLength: 4, targetLength: 8, seed: 0, tooLong }
      const [expected, found] = [inMemory, inFile].map(examples => storeExamples(examples as never, options))
      expect(listOf(found.store)).toEqual(listOf(expected.store))
      expect({ ...found, store: 0 }).toEqual({ ...expected, store: 0 })
      expect(found.skipped + found.truncated).toBeGreaterThan(0)
      // Without the cache, examples that do not fit are not stored at all.
      const plain = storeExamples({ length: 300, get: i => inFile.get(i) as never }, options)
      expect(listOf(plain.store)).toEqual(listOf(found.store))
      expect(plain.fingerprint).toBe(found.fingerprint)
    }
  })
})

describe('texts that worker threads encode', () => {
  const bundle = async (worker: string): Promise<URL> => {
    const outfile = join(folder, 'worker.mjs')
    await build({ entryPoints: [worker], outfile, bundle: true, platform: 'node', format: 'esm' })
    return pathToFileURL(outfile)
  }
  const encoded = (given: Encoding, script: URL, patienceMs = 20_000): Fields[] => {
    const ahead = encodeAhead(given, { workers: 2, script, patienceMs })!
    const examples = given.stages.reduce((data, stage) => stage.apply(data, ahead.context), given.source)
    try {
      return Array.from({ length: examples.length }, (_, i) => {
        ahead.before(i)
        return examples.get(i)
      })
    } finally {
      ahead.stop()
    }
  }

  it('have the ids that this thread gives them', async () => {
    const script = await bundle(resolve(import.meta.dirname, 'encoding-worker.ts'))
    const expected = direct(encoding({ source: texts(1000) }))
    const encode = vi.spyOn(WordVocabulary.prototype, 'encode')
    expect(encoded(encoding({ source: texts(1000) }), script)).toEqual(expected)
    expect(encode).not.toHaveBeenCalled()
  })

  it('end with EOS once, however often a text occurs', async () => {
    const script = await bundle(resolve(import.meta.dirname, 'encoding-worker.ts'))
    const given = encoding({ source: texts(100), stages: [encodeTexts('colors', unchanged)] })
    expect(encoded(given, script)).toEqual(direct(given))
  })

  it('are ids that a preprocessor may change', async () => {
    const script = await bundle(resolve(import.meta.dirname, 'encoding-worker.ts'))
    const appending: Preprocessor = {
      name: 'appending',
      apply: (data, { features }) =>
        mapDataset(data, ({ targets }) => {
          const ids = features.targets.vocabulary.encode(String(targets))
          ids.push(9)
          return { targets: Int32Array.from(ids) }
        }),
    }
    const given = encoding({ source: texts(100), stages: [appending] })
    expect(encoded(given, script)).toEqual(direct(given))
  })

  it.each([
    ['end', 'process.exit(1)', 20_000, 'a worker thread could not start, or has ended'],
    ['throw', 'throw new Error("no memory")', 20_000, 'a worker thread could not start, or has ended'],
    ['do not answer', 'setInterval(() => undefined, 1000)', 300, 'no answer in 0.3 s'],
  ])('are encoded by this thread at once if the workers %s', (_, body, patienceMs, reason) => {
    const failing = join(folder, 'failing.mjs')
    writeFileSync(failing, body)
    const given = encoding({ source: texts(1000) })
    const start = performance.now()
    expect(encoded(given, pathToFileURL(failing), patienceMs)).toEqual(direct(given))
    expect(performance.now() - start).toBeLessThan(10_000)
    expect(notices).toEqual([
      `encoding colors (train): the worker threads have failed (${reason}); one thread encodes the rest`,
    ])
  })

  it('are encoded by this thread, without waiting, if a worker says what is wrong', async () => {
    const script = await bundle(resolve(import.meta.dirname, 'encoding-worker.ts'))
    vi.spyOn(vocabulary, 'toJSON').mockReturnValue({ kind: 'words', symbols: ['x', 'x'] })
    expect(encoded(encoding(), script)).toEqual(direct(encoding()))
    expect(notices).toEqual([expect.stringContaining('"x" is listed twice')])
  })

  it('are encoded by this thread, without waiting, if a worker has thrown', async () => {
    const failing = join(folder, 'failing.mjs')
    writeFileSync(failing, 'throw new Error("no memory")')
    const emit = vi.spyOn(Worker.prototype, 'emit')
    const ahead = encodeAhead(encoding(), { workers: 2, script: pathToFileURL(failing) })!
    await vi.waitFor(() => expect(emit).toHaveBeenCalledWith('error', expect.anything()), 10_000)
    ahead.before(0)
    expect(notices).toEqual([expect.stringContaining('(Error: no memory)')])
  })
})
