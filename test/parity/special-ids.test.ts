import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openHfWeights, writeHfWeights } from '../../src/checkpoint/names/hf-folder.js'
import { specialIdsFromHf } from '../../src/checkpoint/names/hf-special-ids.js'
import { makeGenerator } from '../../src/infer/generate.js'
import { scoring } from '../../src/infer/search.js'
import { searchOf } from '../../src/infer/choose-search.js'
import type { TextOptions } from '../../src/infer/text-options.js'
import { openTextModel } from '../../src/open/text-model.js'
import type { OpenedTextModel } from '../../src/open/text-model.js'

/** The input of every case. What is expected of it is what transformers 5.23 computed. */
const INPUT = [30, 3, 6, 4, 23, 1]

const open = (folder: string): Promise<OpenedTextModel> => openTextModel(folder, { maxNewTokens: 12 })
const fixture = (name: string): Promise<OpenedTextModel> => open(`test/fixtures/cases/${name}`)

async function answers({ params, options, codec }: OpenedTextModel, asked: TextOptions, limit: number) {
  const search = searchOf(asked, { config: options.config, limit, vocabulary: codec.targets, input: INPUT })
  const [found] = await makeGenerator({ ...options, release: false })(params, [INPUT], [search])
  return found.map(({ tokens }) => tokens)
}

async function scoreOf({ params, options, codec }: OpenedTextModel, answer: string): Promise<number> {
  const search = scoring([...codec.targets.encode(answer), codec.targets.eosId])
  const [[{ score }]] = await makeGenerator({ ...options, release: false })(params, [INPUT], [search])
  return score
}

/** Runs a task on a copy of a case with other JSON files. */
async function changed<T>(files: Readonly<Record<string, unknown>>, task: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-special-ids-'))
  try {
    await cp('test/fixtures/cases/03-start-config3', folder, { recursive: true })
    for (const [name, json] of Object.entries(files)) await writeFile(join(folder, name), JSON.stringify(json))
    return await task(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe("a model's special ids", () => {
  it.each([
    ['03-start-config3', [22, 22, 22, 22, 22, 22], -23.7443],
    ['03-start-genconfig3', [22, 22, 22, 22, 22, 22], -23.7443],
    ['03-start-forcedbos5', [5, 22, 22, 22, 22, 22], -23.8586],
  ])('%s: answers and scores begin as the model says', async (name, tokens, score) => {
    const model = await fixture(name)
    expect(await answers(model, {}, 6)).toEqual([tokens])
    expect(await scoreOf(model, 'dog')).toBeCloseTo(score, 3)
  })

  it('a forced last token ends an answer that reaches its greatest length', () =>
    changed({ 'generation_config.json': { decoder_start_token_id: 0, forced_eos_token_id: 7 } }, async folder => {
      expect(await answers(await open(folder), {}, 6)).toEqual([[10, 22, 22, 22, 22, 7]])
    }))

  it('several EOS end answers of every search, and a least number of tokens holds all of them back', async () => {
    const model = await fixture('12-several-eos')
    expect(await answers(model, {}, 8)).toEqual([[82, 51, 13]])
    expect(await answers(model, { topK: 1, seed: 1 }, 8)).toEqual([[82, 51, 13]])
    expect(await answers(model, { minNewTokens: 5 }, 8)).toEqual([[82, 51, 51, 61, 61, 61, 61, 61]])
    expect(await answers(model, { numBeams: 3, numReturned: 3 }, 8)).toEqual([
      [46, 89, 89, 89, 89, 89, 89, 89],
      [46, 89, 89, 28, 51, 51, 51, 51],
      [46, 89, 89, 89, 89, 89, 89, 51],
    ])
  })

  it('are written to config.json', () =>
    changed({ 'generation_config.json': { eos_token_id: [4, 6], forced_bos_token_id: 5 } }, async folder => {
      const written = join(folder, 'written')
      const weights = await openHfWeights(folder)
      await writeHfWeights(written, weights)
      await weights.close()
      const again = await openHfWeights(written)
      await again.close()
      expect(again.model.specialIds).toEqual({ padId: 0, eosIds: [4, 6], decoderStartId: 3, forcedFirstId: 5 })
    }))

  it('are read from generation_config.json, config.json and the tokenizer, in this order', () => {
    const files = {
      generationConfig: { eos_token_id: [4, 6], bos_token_id: 9 },
      config: { pad_token_id: 2, eos_token_id: 5, decoder_start_token_id: 8, forced_bos_token_id: 3 },
      tokenizerConfig: { pad_token: '<pad>', added_tokens_decoder: { 7: { content: '<pad>' } } },
    }
    expect(specialIdsFromHf(files, 136, 'model')).toEqual({ padId: 2, eosIds: [4, 6], decoderStartId: 9 })
    expect(specialIdsFromHf({ ...files, config: {} }, 136, 'model').padId).toBe(7)
    expect(() => specialIdsFromHf({ ...files, config: {} }, 7, 'model')).toThrow(
      'model: pad_token_id in tokenizer_config.json is 7',
    )
  })
})
