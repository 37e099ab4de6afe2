import { describe, expect, it } from 'vitest'
import { ByteVocabulary } from '../text/bytes.js'
import * as random from '../engine/api/random.js'
import type { ModelConfig } from '../model/config.js'
import { initParameters } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import { preset } from '../model/presets.js'
import { readBlanks, fillBlanks } from './blanks.js'
import { TextGenerator } from './text-generator.js'
import type { TextOptions } from './text-options.js'

const { model, router } = preset('switch-base-8')
const vocabulary = new ByteVocabulary()
const config: ModelConfig = {
  ...model,
  vocabSize: vocabulary.size,
  dModel: 16,
  dFf: 24,
  numHeads: 2,
  headDim: 8,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
  numExperts: 4,
  dtype: 'float32',
  initScale: 8,
  tiedLogits: false,
  scaleLogits: false,
}
const generator = (): TextGenerator =>
  new TextGenerator({
    params: initParameters(declareParameters(config, router), random.key(5)),
    options: { config, router, maxNewTokens: 12 },
    codec: { inputs: vocabulary, targets: vocabulary, prepare: text => text },
  })
const piecesOf = async (stream: AsyncIterable<string>): Promise<string[]> => {
  const pieces: string[] = []
  for await (const piece of stream) pieces.push(piece)
  return pieces
}

describe('TextGenerator', () => {
  const ways: [string, TextOptions][] = [
    ['greedily', {}],
    ['by sampling', { temperature: 1.5, seed: 3 }],
    ['by beam search', { numBeams: 3 }],
    ['until a text comes', { seed: 4, stop: ['a', 'e', 'i'] }],
  ]
  it.each(ways)('gives in pieces what it gives whole, %s', async (_, options) => {
    const g = generator()
    const [{ text }] = await g.answer('hello', options)
    expect((await piecesOf(g.stream('hello', options))).join('')).toBe(text)
  })

  it('answers calls that are made at once as it answers them one by one', async () => {
    const g = generator()
    const asked = ways.map(([text, options]) => [text, options] as const)
    const together = await Promise.all(asked.map(([text, options]) => g.answer(text, options)))
    for (const [i, [text, options]] of asked.entries()) {
      expect((await g.answer(text, options)).map(a => a.tokens)).toEqual(together[i].map(a => a.tokens))
    }
  })

  it('scores given answers: every next token has a share, and the greedy one the largest', async () => {
    const g = generator()
    const answers = ['a', 'hello', ''].map(text => g.score('hello', text))
    const alone = await g.score('hello', 'hello')
    const [, together] = await Promise.all(answers)
    expect(together.tokens).toEqual([...vocabulary.encode('hello'), 1])
    together.logProbabilities.forEach((p, i) => expect(p).toBeCloseTo(alone.logProbabilities[i], 4))
    expect(together.score).toBeCloseTo(
      together.logProbabilities.reduce((a, b) => a + b),
      6,
    )
    const letters = await Promise.all(
      Array.from({ length: 128 }, (_, code) => g.score('hello', String.fromCharCode(code))),
    )
    const shares = letters.map(({ logProbabilities }) => Math.exp(logProbabilities[0]))
    const sum = shares.reduce((a, b) => a + b)
    expect([sum > 0.05, sum < 1, new Set(shares).size]).toEqual([true, true, 128])
    await expect(g.score('hello', 'longer than twelve')).rejects.toThrow(
      'the answer has 19 tokens, and at most 12 (maxNewTokens) can be scored',
    )
  })

  it('is ended by a signal, or by a reader who leaves, and goes on for others', async () => {
    const g = generator()
    const controller = new AbortController()
    const whole = g.answer('hello')
    const ended = (async () => {
      let count = 0
      for await (const _ of g.stream('other', { signal: controller.signal, minNewTokens: 12 }))
        if (++count === 2) controller.abort()
    })()
    await expect(ended).rejects.toThrow('abort')
    for await (const _ of g.stream('third', { minNewTokens: 12 })) break
    expect((await whole)[0].text).toBe((await g.answer('hello'))[0].text)
    await expect(g.answer('hello', { signal: controller.signal })).rejects.toThrow('abort')
  })

  it('says what cannot be combined', async () => {
    await expect(generator().answer('x', { numBeams: 2, temperature: 1 })).rejects.toThrow('beam search and sampling')
    await expect(generator().answer('x', { numReturned: 2 })).rejects.toThrow('give numBeams too')
  })
})

describe('blanks', () => {
  const [first, second] = vocabulary.sentinelIds
  const answer = [first, ...vocabulary.encode('cat'), second, ...vocabulary.encode('mat'), 1]

  it('are filled from an answer', () => {
    expect(readBlanks(answer, vocabulary)).toEqual(
      new Map([
        [0, 'cat'],
        [1, 'mat'],
      ]),
    )
    expect(fillBlanks('a <extra_id_0> on a <extra_id_1>, <extra_id_2>', answer, vocabulary)).toBe(
      'a cat on a mat, <extra_id_2>',
    )
    expect(fillBlanks('no blanks', answer, vocabulary)).toBeNull()
  })
})
