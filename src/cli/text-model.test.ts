import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeHfWeights } from '../checkpoint/names/hf-weights.js'
import { newWeights } from '../checkpoint/weights.js'
import { TextGenerator } from '../infer/text-generator.js'
import { preset } from '../model/presets.js'
import { openTextModel } from './text-model.js'
import { unknownSymbols } from './texts.js'

const base = preset('switch-base-8')
const small = { dModel: 16, dFf: 24, numHeads: 2, headDim: 8, numEncoderLayers: 2, numDecoderLayers: 2, numExperts: 4, dtype: 'float32' } as const

describe('a folder of Hugging Face as a model of texts', () => {
  let scratch: string
  beforeAll(async () => { scratch = await mkdtemp(join(tmpdir(), 'switchyard-text-model-')) })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  async function write(name: string, vocabSize: number): Promise<string> {
    await writeHfWeights(join(scratch, name), newWeights(name, { ...base.model, ...small, vocabSize }, base.router, 0))
    return join(scratch, name)
  }

  it('of T5\'s size has T5\'s vocabulary, and answers', async () => {
    const model = await openTextModel(await write('t5', 32_128), 4)
    expect(model.codec.inputs.encode('The <extra_id_0> walks')).toEqual([37, 32099, 10681])
    expect(unknownSymbols(model.codec, 'The <extra_id_0> walks \u{1F600}')).toEqual(['\u{1F600}'])
    const [{ text, tokens }] = await new TextGenerator(model).answer('The cat sat', { minNewTokens: 4 })
    expect(tokens.length).toBe(4)
    expect(model.codec.targets.decode(tokens)).toBe(text)
  })

  it('of another size needs its own', async () => {
    const folder = await write('other', 500)
    await expect(openTextModel(folder)).rejects.toThrow(`${folder}: there is no vocabulary (spiece.model, tokenizer.json, tokenizer_config.json) beside the weights`)
  })
})
