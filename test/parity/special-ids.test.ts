import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { convertWeights } from '../../src/cli/convert/conversion.js'
import { describeModel, findModel } from '../../src/cli/inspect/inspection.js'
import { openWeights } from '../../src/open/open-weights.js'
import { TextGenerator } from '../../src/infer/text-generator.js'
import { needsTokenizer, specialIdsFromHf } from '../../src/checkpoint/names/hf-special-ids.js'
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

/** The length of an answer of a model that was opened for `limit` tokens. */
async function fixed(folder: string, limit: number): Promise<number> {
  const generator = new TextGenerator(await openTextModel(folder, { maxNewTokens: limit }))
  return (await generator.answer('a dog', { minNewTokens: limit }))[0].tokens.length
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

  it('are written with the defaults to config.json and generation_config.json, and kept by our own format', () =>
    changed(
      {
        'generation_config.json': {
          eos_token_id: [4, 6],
          forced_bos_token_id: 5,
          forced_eos_token_id: [1],
          max_new_tokens: 6,
          num_beams: 3,
          num_return_sequences: 2,
          length_penalty: 2.0,
          early_stopping: 'never',
          bad_words_ids: [[46]],
          sequence_bias: [[[51], -1.0]],
        },
      },
      async folder => {
        const original = await open(folder)
        const { specialIds, generation } = original.options.config
        expect(specialIds).toEqual({
          padId: 0,
          eosIds: [4, 6],
          decoderStartId: 3,
          forcedFirstIds: [5],
          forcedLastIds: [1],
        })
        for (const to of ['safetensors', 'native'] as const) {
          await convertWeights(folder, join(folder, to), { to })
          const again = await openWeights(join(folder, to))
          await again.close()
          expect(again.model).toMatchObject({ specialIds, generation: { ...generation, maxNewTokens: 6 } })
        }
        const written = await readFile(join(folder, 'safetensors/generation_config.json'), 'utf8')
        // transformers refuses whole numbers here.
        expect(written).toContain('-1.0')
        const said = vi.spyOn(console, 'error').mockReturnValue(undefined)
        await convertWeights(folder, join(folder, 't5x/checkpoint_0'), { to: 't5x' })
        expect(said).toHaveBeenCalledWith(expect.stringContaining("cannot hold this model's special ids"))
        said.mockRestore()
        const config = JSON.parse(await readFile(join(folder, 'safetensors/config.json'), 'utf8')) as object
        expect(config).toMatchObject({ pad_token_id: 0, eos_token_id: [4, 6], decoder_start_token_id: 3 })
        expect(config).not.toHaveProperty('forced_bos_token_id')
      },
    ))

  it('and the defaults hold in a TextGenerator unless its user says otherwise, and inspect prints them', () =>
    changed(
      {
        'generation_config.json': {
          decoder_start_token_id: 0,
          max_length: 5,
          guidance_scale: 2,
          num_beams: 2,
          temperature: 0,
          num_return_sequences: 'many',
        },
      },
      async folder => {
        const notices: string[] = []
        const model = await openTextModel(folder, { onNotice: notice => notices.push(notice) })
        expect(notices).toEqual([
          `${folder}: answers are generated without these settings of the model's generation_config.json: num_return_sequences "many", which must be a whole number above 0; guidance_scale 2, which Switchyard does not have. Correct or delete them to silence this message`,
        ])
        await openTextModel(folder, { generation: false, onNotice: notice => notices.push(notice) })
        expect(notices).toHaveLength(1)
        const generator = new TextGenerator(model)
        const tokens = async (options: TextOptions) => (await generator.answer('a dog', options))[0].tokens
        expect(await tokens({ minNewTokens: 4 })).toHaveLength(4)
        expect(await tokens({ maxNewTokens: 9, minNewTokens: 9 })).toHaveLength(9)
        // Beam search gives scores, and greedy search does not.
        const score = async (options: TextOptions) => (await generator.answer('a dog', options))[0].score
        expect(await score({})).toBeLessThan(0)
        expect(await score({ numBeams: 1 })).toBeNaN()
        expect(await fixed(folder, 9)).toBe(9)
        expect(describeModel(await findModel(folder))).toMatch(
          /special ids +padding 0, EOS 1, decoder start 0\n.*maxNewTokens 4, numBeams 2, topK 50 \(if tokens are sampled\), num_return_sequences \(not used: "many" is not a whole number above 0\), temperature \(not used: 0 is not a number above 0\), guidance_scale \(not supported\)/,
        )
      },
    ))

  it('are read from generation_config.json, config.json and the tokenizer, in this order', () => {
    const files = {
      generationConfig: { eos_token_id: [4, 6], bos_token_id: 9 },
      config: { pad_token_id: 2, eos_token_id: 5, decoder_start_token_id: 8, forced_bos_token_id: 3 },
      tokenizerConfig: { pad_token: '<pad>', added_tokens_decoder: { 7: { content: '<pad>' } } },
    }
    expect(specialIdsFromHf(files, 136, 'model')).toEqual({ padId: 2, eosIds: [4, 6], decoderStartId: 9 })
    expect(specialIdsFromHf({ ...files, config: {} }, 136, 'model').padId).toBe(7)
    const tokenizer = { added_tokens: [{ id: 11, content: '</s>' }] }
    expect(specialIdsFromHf({ config: {}, tokenizer }, 136, 'model').eosIds).toEqual([11])
    expect([needsTokenizer({ config: {} }), needsTokenizer(files)]).toEqual([true, false])
    expect(() => specialIdsFromHf({ config: { decoder_start_token_id: [3, 4] } }, 136, 'model')).toThrow(
      'model: decoder_start_token_id in config.json is a list of 2 ids',
    )
    expect(() => specialIdsFromHf({ ...files, config: {} }, 7, 'model')).toThrow(
      'model: the id of "<pad>" in tokenizer_config.json is 7',
    )
  })
})
