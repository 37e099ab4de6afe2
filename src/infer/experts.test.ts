import { describe, expect, it } from 'vitest'
import { sparseModel } from '../../test/small-model.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { forward } from '../model/forward.js'
import { initParameters } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import { preset } from '../model/presets.js'
import type { Batch, ModelParams } from '../model/types.js'
import { ByteVocabulary } from '../text/bytes.js'
import type { AnswerToken } from './answer-piece.js'
import type { TokenExperts } from './expert-choices.js'
import { TextGenerator } from './text-generator.js'
import type { PieceOptions } from './text-answers.js'

const base = preset('switch-base-8')
const vocabulary = new ByteVocabulary()
const config = sparseModel({ vocabSize: vocabulary.size, numExperts: 4, tiedLogits: false, scaleLogits: false })
const router: RouterConfig = { ...base.router, selectedExperts: 2 }
const params = jit(() => initParameters(declareParameters(config, router), random.key(5)))()
const generator = (changes: Partial<ModelConfig> = {}, routing = router): TextGenerator =>
  new TextGenerator({
    params,
    options: { config: { ...config, ...changes }, router: routing, maxNewTokens: 6 },
    codec: { inputs: vocabulary, targets: vocabulary, prepare: text => text },
  })

async function tokensOf(
  g: TextGenerator,
  text: string,
  options: PieceOptions,
): Promise<{ inputs: readonly AnswerToken[]; answer: AnswerToken[] }> {
  let inputs: readonly AnswerToken[] = []
  const answer: AnswerToken[] = []
  for await (const piece of g.pieces(text, { onInput: tokens => (inputs = tokens), ...options }))
    answer.push(...piece.tokens)
  return { inputs, answer }
}

/** The experts of a whole pass over an input and its answer. */
async function wholePass(inputs: number[], answer: number[]): Promise<{ [stack: string]: TokenExperts[] }> {
  const ids = (row: number[]): ReturnType<typeof np.array> => np.array([row], 'int32')
  const batch: Batch = {
    encoder_input_tokens: ids(inputs),
    decoder_input_tokens: ids([0, ...answer.slice(0, -1)]),
    decoder_target_tokens: ids(answer),
    decoder_loss_weights: np.ones([1, answer.length]),
  }
  const run = jit((p: ModelParams, b: Batch) =>
    forward(p, b, { config, router, mode: 'eval' }).routers.map(({ record }) => record.expert),
  )
  const layers = await Promise.all(run(params, batch).map(experts => experts.numbers()))
  const ofStack = (of: number[][], count: number): TokenExperts[] =>
    Array.from({ length: count }, (_, i) => of.map(layer => layer.slice(2 * i, 2 * i + 2)))
  return { encoder: ofStack(layers.slice(0, 2), inputs.length), decoder: ofStack(layers.slice(2), answer.length) }
}

describe('experts of tokens', () => {
  it.each([
    ['greedily', {}],
    ['by beam search', { numBeams: 3 }],
  ])('are those of a whole pass, %s, also among other requests', async (_, options) => {
    const g = generator()
    const others = ['x', 'a much longer text', 'three'].map(text => g.answer(text))
    const { inputs, answer } = await tokensOf(g, 'hello', { experts: true, minNewTokens: 6, ...options })
    await Promise.all(others)
    const expected = await wholePass(
      inputs.map(({ id }) => id),
      answer.map(({ id }) => id),
    )
    expect(answer).toHaveLength(6)
    expect(inputs.map(({ experts }) => experts)).toEqual(expected.encoder)
    expect(answer.map(({ experts }) => experts)).toEqual([...expected.decoder.slice(1), undefined])
    expect(new Set(expected.decoder.flat().map(String)).size).toBeGreaterThan(2)
  })

  it('are not given unless they are asked for', async () => {
    const { inputs, answer } = await tokensOf(generator(), 'hello', {})
    expect(inputs.map(({ text }) => text).join('')).toBe('hello')
    expect([...inputs, ...answer].every(token => !('experts' in token))).toBe(true)
  })

  it('are none for a token that a full expert drops, and such tokens are counted', async () => {
    const g = generator({ reference: 'hf' }, { ...router, selectedExperts: 1, expertCapacity: 1 })
    const { inputs } = await tokensOf(g, 'hello', { experts: true })
    const dropped = inputs.flatMap(({ experts }) => experts!).filter(layer => layer.length === 0)
    expect(dropped.length).toBeGreaterThan(0)
    expect(g.statistics().droppedTokens).toBe(dropped.length)
  })

  it('are counted for each layer', async () => {
    const g = generator()
    await Promise.all(['hello', 'a', 'four'].map(text => g.answer(text, { minNewTokens: 6 })))
    const { expertTokens, ...counts } = g.statistics()
    expect(counts).toEqual({
      running: 0,
      waiting: 0,
      memoryBytes: 0,
      maxMemoryBytes: 2 ** 30,
      steps: 6,
      // One step of 13 + 3 tokens, and five of 3.
      stepTokens: [0, 0, 5, 0, 1],
      inputTokens: 13,
      generatedTokens: 18,
      droppedTokens: 0,
    })
    // Each token meets two experts.
    expect(expertTokens.map(layer => layer.reduce((a, b) => a + b))).toEqual([36, 36])
  })
})
