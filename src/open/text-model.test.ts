import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { freemem, tmpdir } from 'node:os'
import type * as Os from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { writeHfWeights } from '../checkpoint/names/hf-folder.js'
import { newWeights } from '../checkpoint/weights.js'
import { TextGenerator } from '../infer/text-generator.js'
import { preset } from '../model/presets.js'
import { convertWeights } from '../cli/convert/conversion.js'
import type { ConvertOptions } from '../cli/convert/conversion.js'
import { modelCodec } from './model-codec.js'
import { ByteVocabulary } from '../text/bytes.js'
import { openWeights } from './open-weights.js'
import { loadOpened, openTextModel } from './text-model.js'
import type { OpenedTextModel, TextModelOptions } from './text-model.js'
import type { Bits } from '../checkpoint/quantize.js'
import { unknownSymbols } from '../data/tokenizers/coverage.js'
import { smallSizes } from '../../test/small-model.js'

const base = preset('switch-base-8')
const small = {
  ...smallSizes,
  numExperts: 4,
  dtype: 'float32',
} as const

vi.mock('node:os', async importOriginal => {
  const actual = await importOriginal<typeof Os>()
  return { ...actual, freemem: vi.fn(actual.freemem) }
})

/** Lets the system say that so many bytes of memory are free, until the result is called. */
function withFree(bytes: number): () => void {
  const available = vi.spyOn(process, 'availableMemory').mockReturnValue(bytes)
  vi.mocked(freemem).mockReturnValue(bytes)
  return () => {
    vi.mocked(freemem).mockReset()
    available.mockRestore()
  }
}

describe('a folder of Hugging Face as a model of texts', () => {
  let scratch: string
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'switchyard-text-model-'))
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  async function write(name: string, vocabSize: number): Promise<string> {
    await writeHfWeights(join(scratch, name), newWeights(name, { ...base.model, ...small, vocabSize }, base.router, 0))
    return join(scratch, name)
  }

  it("of T5's size has T5's vocabulary, and generates text", async () => {
    const model = await openTextModel(await write('t5', 32_128), { maxNewTokens: 4 })
    expect(model.codec.inputs.encode('The <extra_id_0> walks')).toEqual([37, 32099, 10681])
    expect(unknownSymbols(model.codec, 'The <extra_id_0> walks \u{1F600}')).toEqual(['\u{1F600}'])
    const [{ text, tokens }] = await new TextGenerator(model).answer('The cat sat', { minNewTokens: 4 })
    expect(tokens.length).toBe(4)
    expect(model.codec.targets.decode(tokens)).toBe(text)
  })

  it("of T5's size, but other special ids, has no vocabulary", async () => {
    const folder = await write('t5-test', 32_128)
    const config = join(folder, 'generation_config.json')
    const settings = JSON.parse(await readFile(config, 'utf8')) as object
    await writeFile(config, JSON.stringify({ ...settings, eos_token_id: 2 }))
    await expect(openTextModel(folder)).rejects.toThrow(/there is no vocabulary .* named as T5's own models are/)
  })

  it('without config.json is named as such', async () => {
    const folder = await write('t5-weights', 32_128)
    await rm(join(folder, 'config.json'))
    await expect(openTextModel(folder)).rejects.toThrow(
      'there are weights (model.safetensors) and no config.json, which',
    )
  })

  it("of T5's size has T5's vocabulary only by the name of one of T5's own models", async () => {
    const hub = 'models--owner-of-models--t5-small/snapshots/0123456789abcdef0123456789abcdef01234567'
    for (const name of ['t5_1_1_small/checkpoint_1000', 'Flan-T5-XL', 'switch-c-2048', 't5-large-ssm-nqo', hub])
      expect(await hasT5s(name), name).toBe(true)
    for (const word of ['journal', 'schema', 'romanian', 'greek', 'thai', 'urdu', '\u65e5\u672c', 'de'])
      expect(await hasT5s(`t5-base-${word}`), word).toBe(false)
    for (const name of ['model', 'codet5-base', 'flan', 't5model', 'models--t5--other/snapshots/main'])
      expect(await hasT5s(name), name).toBe(false)
  })

  const hasT5s = (name: string): Promise<boolean> =>
    modelCodec(
      { path: join(scratch, name), container: 'huggingface', model: { ...base.model, ...small, vocabSize: 32_128 } },
      () => undefined,
    ).then(
      () => true,
      () => false,
    )

  it('is the same model as a checkpoint of T5X, or of our own, and nearly the same in 8 bits', async () => {
    const folder = await write('switch-original', 32_128)
    const answer = async (path: string, bits?: 8 | 4): Promise<readonly number[]> =>
      (
        await new TextGenerator(await openTextModel(path, { maxNewTokens: 8, bits })).answer('The cat sat', {
          minNewTokens: 8,
        })
      )[0].tokens
    const expected = await answer(folder)
    await convertWeights(folder, join(scratch, 't5-x/checkpoint_0'), { to: 't5x' })
    await convertWeights(folder, join(scratch, 't5-native'), { to: 'native' })
    for (const name of ['t5-x/checkpoint_0', 't5-native']) expect(await answer(join(scratch, name))).toEqual(expected)
    await convertWeights(folder, join(scratch, 't5-int8'), { to: 'native', dtype: 'int8' })
    const quantized = await answer(join(scratch, 't5-int8'))
    expect(quantized[0]).toBe(expected[0])
    // Quantized while loading, or read from a quantized file: the same.
    expect(await answer(folder, 8)).toEqual(quantized)
    await expect(answer(join(scratch, 't5-int8'), 4)).rejects.toThrow(
      'its weights have 8 bits already and cannot be quantized to 4',
    )
    await expect(convertWeights(folder, join(scratch, 'no'), { to: 't5x', dtype: 'int8' })).rejects.toThrow(
      'the format t5x cannot hold int8: use --to native',
    )
  })

  it('that does not fit into memory is refused before it is loaded, with the bits that would fit', async () => {
    const folder = await write('t5-large', 32_128)
    let restore = withFree(5_000_000)
    try {
      await expect(openTextModel(folder)).rejects.toThrow(
        /this model takes about 6\.\d+ MiB of memory, and 4\.77 MiB are free: in 8 bits \(--quantize int8\) it takes 4\.\d+ MiB/,
      )
      restore()
      restore = withFree(1000)
      await expect(openTextModel(folder)).rejects.toThrow('take a machine with more, or a smaller model')
    } finally {
      restore()
    }
  })

  it('of another size needs a vocabulary beside it', async () => {
    const folder = await write('other', 500)
    await expect(openTextModel(folder)).rejects.toThrow(
      `${folder}: there is no vocabulary (spiece.model, tokenizer.json, vocab.json, tokenizer_config.json) beside the weights`,
    )
  })
})

describe('a model whose experts are paged', () => {
  const vocabulary = new ByteVocabulary()
  const codec = { inputs: vocabulary, targets: vocabulary, prepare: (text: string) => text }
  const router = { ...base.router, selectedExperts: 2 }
  // Quantized kernels need at least this width.
  const sizes = { ...small, dModel: 64, dFf: 64, numExperts: 8, encoderSparseLayers: [1], initScale: 8 }
  const PAGE = 2 * 4 * 64 * 64
  let scratch: string
  let folder: string
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'switchyard-paged-model-'))
    folder = join(scratch, 'switch')
    const config = { ...base.model, ...sizes, vocabSize: vocabulary.size, tiedLogits: false }
    await writeHfWeights(folder, newWeights('m', config, router, 0))
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  const open = async (path: string, options: TextModelOptions = {}): Promise<OpenedTextModel> =>
    loadOpened({ weights: await openWeights(path), codec, values: {} }, { maxNewTokens: 6, ...options })

  /** Greedy and beam answers of several texts at once, and the score of an answer. */
  async function answersOf(path: string, options: TextModelOptions = {}): Promise<unknown> {
    const generator = new TextGenerator(await open(path, options))
    try {
      const texts = ['The cat sat', 'on', 'a mat of straw and hay']
      const greedy = await generator.answerAll(texts, { minNewTokens: 6 })
      const beams = await generator.answerAll(texts.slice(1), { numBeams: 3, numReturned: 2, minNewTokens: 4 })
      const { tokens } = await generator.score(texts[0], texts[1])
      const { paging } = generator.statistics()
      expect(paging !== undefined).toBe(options.expertsMemory !== undefined)
      if (paging) expect(paging.memoryBytes).toBeLessThanOrEqual(paging.maxMemoryBytes)
      if (paging) expect(paging.stacks.every(({ misses }) => misses > 0)).toBe(true)
      return [...greedy.flat(), ...beams.flat(), { tokens }].map(answer => answer.tokens)
    } finally {
      await generator.close()
    }
  }

  const cases: [string, ConvertOptions['dtype'], Bits | undefined, number][] = [
    ['float32', undefined, undefined, PAGE],
    ['bfloat16', 'bfloat16', undefined, PAGE / 2],
    ['int8', 'int8', undefined, PAGE / 4 + 512],
    ['float32, quantized when read', undefined, 8, PAGE / 4 + 512],
    ['int4', 'int4', undefined, PAGE / 4],
  ]
  it.each(cases)('answers as in memory, with room for two experts: %s', async (name, dtype, bits, page) => {
    const path = dtype === undefined ? folder : join(scratch, name)
    if (dtype !== undefined) await convertWeights(folder, path, { to: 'native', dtype })
    const expected = await answersOf(path, { bits })
    expect(await answersOf(path, { bits, expertsMemory: 2 * page })).toEqual(expected)
    if (name === 'float32') expect(await answersOf(path, { expertsMemory: 2 ** 24 })).toEqual(expected)
    // Room for pages and for some of their compiled copies; then for all.
    if (name === 'int4')
      for (const expertsMemory of [7 * page, 2 ** 24])
        expect(await answersOf(path, { bits, expertsMemory })).toEqual(expected)
  })
  it('pages by itself if its experts do not fit into memory, and says so', async () => {
    const path = join(scratch, 'many')
    const config = { ...base.model, ...sizes, numExperts: 64, vocabSize: vocabulary.size }
    await writeHfWeights(path, newWeights('m', config, router, 0))
    const notices: string[] = []
    const restore = withFree(4_000_000)
    try {
      const model = await open(path, { onNotice: message => notices.push(message) })
      await model.close!()
      expect(notices).toEqual([
        expect.stringMatching(
          /its experts take 4\.00 MiB, and 3\.81 MiB of memory are free: .* and 2\.\d+ MiB of them stay/,
        ),
      ])
      await expect(open(path, { expertsMemory: 3_900_000 })).rejects.toThrow(
        /this model with 3\.72 MiB for its experts takes about .* and 3\.81 MiB are free: give its experts less memory/,
      )
    } finally {
      restore()
    }
  })

  it('ends answers that need a damaged expert with one error, and answers again when the file is whole', async () => {
    const path = join(scratch, 'damaged')
    await convertWeights(folder, path, { to: 'native' })
    const generator = new TextGenerator(await open(path, { expertsMemory: 2 * PAGE }))
    const answer = async (): Promise<readonly number[]> =>
      (await generator.answer('on a mat', { minNewTokens: 6 }))[0].tokens
    const expected = await answer()
    const file = join(path, 'params.safetensors')
    const bytes = await readFile(file)
    await truncate(file, 1000)
    const failed = await Promise.allSettled([answer(), answer()])
    for (const result of failed)
      expect(result).toMatchObject({
        status: 'rejected',
        reason: expect.objectContaining({
          name: 'FileError',
          message: expect.stringMatching(
            /params\.safetensors: expert \d of encoder\/layers_1\/mlp\/expert cannot be read/,
          ),
        }),
      })
    await writeFile(file, bytes)
    expect(await answer()).toEqual(expected)
    await generator.close()
    await expect(answer()).rejects.toThrow('the model has been closed')
  })

  it('refuses a memory that is too small, pins of another model, and a model without experts', async () => {
    await expect(open(folder, { expertsMemory: 100 })).rejects.toThrow(
      'one expert takes 32.00 KiB, more than the 100 B',
    )
    const pins = join(scratch, 'pins.json')
    const list = { format: 'switchyard pinned experts', version: 1, model: 'other' }
    await writeFile(pins, JSON.stringify({ ...list, pins: [{ stack: 'encoder/layers_0/mlp/expert', experts: [1] }] }))
    await expect(open(folder, { expertsMemory: 2 ** 20, pins })).rejects.toThrow(
      'this list is for another model (other)',
    )
    const dense = join(scratch, 'dense')
    const noExperts = { ...base.model, ...sizes, numExperts: 0, encoderSparseLayers: [], decoderSparseLayers: [] }
    await writeHfWeights(dense, newWeights('m', { ...noExperts, vocabSize: vocabulary.size }, router, 0))
    await expect(open(dense, { expertsMemory: 2 ** 20 })).rejects.toThrow('this model is dense: it has no experts')
  })
})
