import { describe, expect, it } from 'vitest'
import { smallSizes } from '../../test/small-model.js'
import { jit } from '../engine/api/jit.js'
import * as random from '../engine/api/random.js'
import type { ModelConfig } from '../model/config.js'
import { initParameters } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import { preset } from '../model/presets.js'
import { ByteVocabulary } from '../text/bytes.js'
import type { AnswerPiece, AnswerToken } from './answer-piece.js'
import { TextGenerator } from './text-generator.js'
import type { TextOrIds } from './text-answers.js'
import type { TextOptions } from './text-options.js'

const { model, router } = preset('switch-base-8')
const vocabulary = new ByteVocabulary()
const config: ModelConfig = {
  ...model,
  ...smallSizes,
  vocabSize: vocabulary.size,
  numExperts: 4,
  dtype: 'float32',
  initScale: 8,
  tiedLogits: false,
  scaleLogits: false,
}
const params = jit(() => initParameters(declareParameters(config, router), random.key(5)))()
const generator = new TextGenerator({
  params,
  options: { config, router, maxNewTokens: 12 },
  codec: { inputs: vocabulary, targets: vocabulary, prepare: text => text },
})

interface Whole {
  text: string
  tokens: AnswerToken[]
  finish: AnswerPiece['finish']
}
async function wholeAnswers(input: TextOrIds, options: TextOptions): Promise<Whole[]> {
  const answers: Whole[] = []
  for await (const { index, text, tokens, finish } of generator.pieces(input, options)) {
    const answer = (answers[index] ??= { text: '', tokens: [], finish: null })
    answer.text += text
    answer.tokens.push(...tokens)
    answer.finish = finish
  }
  return answers
}
const idsOf = (tokens: readonly { readonly id: number }[]): number[] => tokens.map(({ id }) => id)
const searches: [string, TextOptions][] = [
  ['greedily', {}],
  ['by sampling', { seed: 3, temperature: 2 }],
  ['by beam search', { numBeams: 3 }],
]

describe('log-probabilities', () => {
  it.each(searches)(
    'are those of the tokens as a given answer, with the most probable ones, %s',
    async (_, options) => {
      const [{ tokens }] = await wholeAnswers('hello', { ...options, logProbabilities: 3, repetitionPenalty: 1.5 })
      const scored = await generator.scoreTokens('hello', idsOf(tokens), { top: 3 })
      tokens.forEach((token, i) => {
        const { logProbability, top } = scored.tokens[i]
        expect(Math.abs(token.logProbability! - logProbability!)).toBeLessThan(1e-5)
        expect(token.top!.map(({ id }) => id)).toEqual(top!.map(({ id }) => id))
        expect([token.top![0].logProbability >= logProbability!, token.top!.length]).toEqual([true, 3])
      })
      const sum = tokens.reduce((total, { logProbability }) => total + logProbability!, 0)
      expect(scored.score).toBeCloseTo(sum, 4)
    },
  )

  it('put the chosen token first in greedy search, and give answers a score', async () => {
    const [{ tokens }] = await wholeAnswers('hello', { logProbabilities: 1 })
    for (const { top, ...token } of tokens) expect(top).toEqual([token])
    const [{ score }] = await generator.answer('hello', { logProbabilities: 0 })
    expect(score).toBeCloseTo(
      tokens.reduce((total, { logProbability }) => total + logProbability!, 0),
      5,
    )
    const [plain] = await wholeAnswers('hello', {})
    expect(Object.keys(plain.tokens[0])).toEqual(['id', 'text', 'bytes'])
    await expect(generator.answer('hello', { logProbabilities: 1.5 })).rejects.toThrow('logProbabilities must be')
  })

  it('of a given answer are with its EOS, unless it is given as token ids', async () => {
    const whole = await generator.scoreTokens('hello', 'abc')
    expect(idsOf(whole.tokens)).toEqual([...vocabulary.encode('abc'), 1])
    const part = await generator.scoreTokens([...vocabulary.encode('hello'), 1], vocabulary.encode('abc'))
    expect(part.tokens).toEqual(whole.tokens.slice(0, 3))
    await expect(generator.scoreTokens('hello', [vocabulary.size])).rejects.toThrow('the answer has the token id')
  })
})

describe('a prefix', () => {
  it.each(searches.slice(0, 2))('is continued as the answer that begins with it, %s', async (name, options) => {
    const [{ text, tokens }] = await wholeAnswers('hello', { ...options, minNewTokens: 8 })
    const prefix = idsOf(tokens).slice(0, 3)
    const [rest] = await wholeAnswers('hello', { ...options, prefix, minNewTokens: 5, logProbabilities: 0 })
    if (name === 'greedily') {
      expect(idsOf(rest.tokens)).toEqual(idsOf(tokens).slice(3))
      expect(vocabulary.decode(prefix) + rest.text).toBe(text)
    }
    expect(rest.tokens.length).toBeLessThanOrEqual(9)
    const scored = await generator.scoreTokens('hello', [...prefix, ...idsOf(rest.tokens)])
    rest.tokens.forEach(({ logProbability }, i) =>
      expect(Math.abs(logProbability! - scored.tokens[i + 3].logProbability!)).toBeLessThan(1e-5),
    )
  })

  it('is no part of the scores of beam search', async () => {
    const prefix = vocabulary.encode('ab')
    const options = { prefix, numBeams: 3, maxNewTokens: 4, minNewTokens: 4 }
    const [{ tokens, score }] = await generator.answer('hello', options)
    const scored = await generator.scoreTokens('hello', [...prefix, ...tokens])
    const ofAnswer = scored.tokens.slice(2).reduce((sum, { logProbability }) => sum + logProbability!, 0)
    expect([tokens.length, score.toFixed(4)]).toEqual([4, (ofAnswer / 4).toFixed(4)])
  })

  it('may be followed by nothing, has no stop text, and is limited', async () => {
    const prefix = vocabulary.encode('abc')
    for (const numBeams of [1, 2])
      expect(await wholeAnswers('hello', { prefix, numBeams, maxNewTokens: 0 })).toEqual([
        { text: '', tokens: [], finish: 'length' },
      ])
    const [{ tokens }] = await wholeAnswers('hello', { prefix, stop: ['b'], maxNewTokens: 2, minNewTokens: 2 })
    expect(tokens).toHaveLength(2)
    const long = { prefix: new Array<number>(13).fill(5) }
    await expect(generator.answer('hello', long)).rejects.toThrow('the answer begins with 13 tokens (prefix)')
    await expect(generator.answer('hello', { prefix: [-1] })).rejects.toThrow('the prefix has the token id -1')
    await expect(generator.answer('hello', { maxNewTokens: 0 })).rejects.toThrow('maxNewTokens must be')
  })
})

it('streams several sampled answers at once, each with its own end', async () => {
  const options = { seed: 3, temperature: 2, numReturned: 4, stop: ['a', 'e', 'o'], experts: true }
  const whole = await generator.answer('hello', options)
  const pieces = await wholeAnswers('hello', options)
  expect(pieces.map(({ text, finish }) => ({ text, finish }))).toEqual(
    whole.map(({ text, finish }) => ({ text, finish })),
  )
  expect(new Set(pieces.map(({ tokens }) => tokens.length)).size).toBeGreaterThan(1)
  for (const { tokens } of pieces)
    expect(tokens.map(({ experts }) => experts?.length)).toEqual([...tokens.slice(1).map(() => 1), undefined])
})
