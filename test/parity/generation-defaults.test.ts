import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { huggingface } from '../../src/checkpoint/sharded.js'
import { hfWeights } from '../../src/checkpoint/names/hf-weights.js'
import type { Json } from '../../src/checkpoint/json.js'
import type { Weights } from '../../src/checkpoint/weights.js'
import { searchOf } from '../../src/infer/choose-search.js'
import { makeGenerator } from '../../src/infer/generate.js'
import type { Generator } from '../../src/infer/generate.js'
import { loadForInference } from '../../src/infer/load.js'
import type { ScoreProcessor } from '../../src/infer/processors.js'
import { epsilonCutoff, etaCutoff, topH, typicalP } from '../../src/infer/sampling-processors.js'
import type { TextOptions } from '../../src/infer/text-options.js'
import { specialIdsOf } from '../../src/model/config.js'
import type { ModelParams } from '../../src/model/types.js'

/** What bench/peers/generation_defaults_hf.py has recorded from transformers 5.23. */
interface Recorded {
  generation: Record<string, Case>
  sampling: { scores: number[]; left: Record<string, [number, number[]][]> }[]
}
interface Case {
  config: Record<string, Json>
  generation_config: Json
  arguments: Record<string, number>
  sequences: number[][]
  scores?: number[]
}

const folder = 'test/fixtures/cases/12-several-eos'
const recorded = JSON.parse(await readFile('test/fixtures/cases/generation-defaults.json', 'utf8')) as Recorded
const ownConfig = JSON.parse(await readFile(`${folder}/config.json`, 'utf8')) as Record<string, Json>
const INPUT = [30, 3, 6, 4, 23, 1]
const LIMIT = 20

const optionsOf = (given: Case['arguments']): TextOptions => ({
  maxNewTokens: given.max_new_tokens,
  minNewTokens: given.min_new_tokens,
  numBeams: given.num_beams,
  numReturned: given.num_return_sequences,
  lengthPenalty: given.length_penalty,
})

/** A model of the recorded weights with other files beside them. */
async function weightsOf({ config, generation_config }: Pick<Case, 'config' | 'generation_config'>): Promise<Weights> {
  const others = Object.entries(ownConfig).filter(([key]) => !key.endsWith('_token_id'))
  const files = generation_config === null ? {} : { generationConfig: generation_config }
  return hfWeights({ ...Object.fromEntries(others), ...config }, await huggingface.open(folder), folder, files)
}

describe("a model's special ids and generation defaults", () => {
  let params: ModelParams
  /** One compiled model for each id that decoding starts from, which is all that it depends on. */
  const generators = new Map<number, Generator>()
  beforeAll(async () => {
    const weights = await weightsOf({ config: {}, generation_config: null })
    params = await loadForInference(weights)
    await weights.close()
  })

  it.each(Object.entries(recorded.generation))('give the answers of transformers: %s', async (_, recordedCase) => {
    const { model, router, close } = await weightsOf(recordedCase)
    await close()
    const { decoderStartId, eosIds } = specialIdsOf(model)
    const generate = generators.get(decoderStartId) ?? makeGenerator({ config: model, router, maxNewTokens: LIMIT })
    generators.set(decoderStartId, generate)
    const search = searchOf(optionsOf(recordedCase.arguments), {
      config: model,
      limit: LIMIT,
      input: INPUT,
    })
    const [answers] = await generate(params, [INPUT], [search])
    // What follows an EOS in a recorded sequence is padding.
    const expected = recordedCase.sequences.map(([start, ...tokens]) => {
      expect(start).toBe(decoderStartId)
      const end = tokens.findIndex(token => eosIds.includes(token))
      return end < 0 ? tokens : tokens.slice(0, end + 1)
    })
    expect(answers.map(({ tokens }) => tokens)).toEqual(expected)
    recordedCase.scores?.forEach((score, i) =>
      expect(Math.abs(answers[i].score - score)).toBeLessThan(1e-6 * (1 + Math.abs(score))),
    )
  })

  const rules: Record<string, (value: number) => ScoreProcessor> = { typicalP, epsilonCutoff, etaCutoff, topH }
  it.each(Object.keys(rules))('leave the tokens of transformers to sampling: %s', name => {
    for (const { scores, left } of recorded.sampling)
      for (const [value, expected] of left[name]) {
        const changed = Float32Array.from(scores)
        rules[name](value)(changed, [0])
        expect([...changed.keys()].filter(i => changed[i] > -Infinity)).toEqual(expected)
      }
  })
})
