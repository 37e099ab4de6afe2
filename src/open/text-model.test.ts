import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { freemem, tmpdir } from 'node:os'
import type * as Os from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { writeHfWeights } from '../checkpoint/names/hf-folder.js'
import { newWeights } from '../checkpoint/weights.js'
import { TextGenerator } from '../infer/text-generator.js'
import { preset } from '../model/presets.js'
import { convertWeights } from '../cli/convert/conversion.js'
import { openTextModel } from './text-model.js'
import { unknownSymbols } from '../cli/shared/texts.js'
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

  it("of T5's size, but another name or other special ids, has no vocabulary", async () => {
    for (const [name, extra] of [
      ['model', {}],
      ['codet5-base', {}],
      ['t5-base-japanese', {}],
      ['t5-ids', { eos_token_id: 2 }],
    ] as const) {
      const folder = await write(name, 32_128)
      const config = join(folder, 'generation_config.json')
      await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')), ...extra }))
      await expect(openTextModel(folder), name).rejects.toThrow(/there is no vocabulary/)
    }
  })

  it('is the same model as a checkpoint of T5X, or of our own, and nearly the same in 8 bits', async () => {
    const folder = await write('switch-source', 32_128)
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
    const available = vi.spyOn(process, 'availableMemory')
    const setFree = (bytes: number): void => {
      vi.mocked(freemem).mockReturnValue(bytes)
      available.mockReturnValue(bytes)
    }
    setFree(5_000_000)
    try {
      await expect(openTextModel(folder)).rejects.toThrow(
        /this model takes about 6\.\d+ MiB of memory, and 4\.77 MiB are free: in 8 bits \(--quantize int8\) it takes 4\.\d+ MiB/,
      )
      setFree(1000)
      await expect(openTextModel(folder)).rejects.toThrow('take a machine with more, or a smaller model')
    } finally {
      vi.mocked(freemem).mockReset()
      available.mockRestore()
    }
  })

  it('of another size needs a vocabulary beside it', async () => {
    const folder = await write('other', 500)
    await expect(openTextModel(folder)).rejects.toThrow(
      `${folder}: there is no vocabulary (spiece.model, tokenizer.json, vocab.json, tokenizer_config.json) beside the weights`,
    )
  })
})
