import { describe, expect, it, vi } from 'vitest'
import { ByteVocabulary } from '../text/bytes.js'
import { onnxBackend, setBackend } from '../engine/api/engine.js'
import * as random from '../engine/api/random.js'
import { referenceBackend } from '../engine/compile/reference/backend.js'
import type { ModelConfig } from '../model/config.js'
import { initParameters } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import { preset } from '../model/presets.js'
import { readBlanks, fillBlanks } from './blanks.js'
import type { AnswerPiece } from './answer-piece.js'
import { forceTokens } from './processors.js'
import type { ScoreProcessor } from './processors.js'
import type { Search, SearchOptions } from './search.js'
import { TextGenerator } from './text-generator.js'
import type { TextModel } from './text-generator.js'
import type { TextOptions } from './text-options.js'
import { smallSizes } from '../../test/small-model.js'

const { model, router } = preset('switch-base-8')
const vocabulary = new ByteVocabulary()
const config: ModelConfig = {
  ...model,
  vocabSize: vocabulary.size,
  ...smallSizes,
  numExperts: 4,
  dtype: 'float32',
  initScale: 8,
  tiedLogits: false,
  scaleLogits: false,
}
const modelOf = (maxNewTokens: number): TextModel => ({
  params: initParameters(declareParameters(config, router), random.key(5)),
  options: { config, router, maxNewTokens },
  codec: { inputs: vocabulary, targets: vocabulary, prepare: text => text },
})
const generator = (maxNewTokens = 12): TextGenerator => new TextGenerator(modelOf(maxNewTokens))
const collected = async <T>(stream: AsyncIterable<T>): Promise<T[]> => {
  const parts: T[] = []
  for await (const part of stream) parts.push(part)
  return parts
}

describe('TextGenerator', () => {
  const ways: [string, TextOptions][] = [
    ['greedily', {}],
    ['by sampling', { temperature: 1.5, seed: 3 }],
    ['by beam search', { numBeams: 3 }],
    ['until a stop text', { seed: 4, stop: ['a', 'e', 'i'] }],
  ]
  it('is warmed up for the first requests: they compile nothing, and only they are counted', async () => {
    setBackend(referenceBackend)
    try {
      const g = generator()
      await g.warmUp()
      const compile = vi.spyOn(referenceBackend, 'compile')
      const { steps, inputTokens, generatedTokens, stepTokens, expertTokens } = g.statistics()
      expect([steps, inputTokens, generatedTokens, stepTokens]).toEqual([0, 0, 0, []])
      expect(expertTokens.flat().every(count => count === 0)).toBe(true)
      const [{ tokens }] = await g.answer('hello')
      await g.answer('hello hello hello', { temperature: 1, seed: 3 })
      await Promise.all([g.answer('hello'), g.answer('world')])
      expect(compile).not.toHaveBeenCalled()
      expect(g.statistics().generatedTokens).toBeGreaterThanOrEqual(2 * tokens.length)
      // Other sizes are compiled when they are met.
      await g.answer('hello '.repeat(20))
      expect(compile).toHaveBeenCalled()
    } finally {
      vi.restoreAllMocks()
      setBackend(onnxBackend())
    }
  })

  it.each(ways)('streams the same text as it answers whole, %s', async (_, options) => {
    const g = generator()
    const [{ text }] = await g.answer('hello', options)
    expect((await collected(g.stream('hello', options))).join('')).toBe(text)
  })

  describe('in pieces', () => {
    /** The pieces of an answer that is forced to begin with a text. */
    const forced = async (text: string, options: TextOptions = {}): Promise<AnswerPiece[]> => {
      const processors = [forceTokens([...vocabulary.encode(text), 1])]
      return collected(generator(60).pieces('hello', { processors, ...options }))
    }

    it('have whole characters, and all tokens with their texts', async () => {
      const pieces = await forced('a\u00e9\u{1f600}b')
      expect(pieces.map(({ text }) => text)).toEqual(['a', '', '\u00e9', '', '', '', '\u{1f600}', 'b', ''])
      const tokens = pieces.flatMap(piece => piece.tokens)
      expect(tokens.map(({ id }) => id)).toEqual([...vocabulary.encode('a\u00e9\u{1f600}b'), 1])
      expect([tokens[0].text, tokens.at(-2)!.text, tokens.at(-1)!.text]).toEqual(['a', 'b', ''])
      expect(pieces.map(({ finish }) => finish)).toEqual([...Array<null>(8).fill(null), 'stop'])
    })

    it('never have a part of a stop text, which may have several tokens and characters of several bytes', async () => {
      const pieces = await forced('ab\u00e9\u00e8 c\u00e9\u00e8! more', { stop: ['never', '\u00e9\u00e8!'] })
      expect(pieces.map(({ text }) => text).join('|')).toBe('a|b|||||\u00e9\u00e8 |c|||||')
      expect(pieces.at(-1)!.finish).toBe('stop')
      const [answer] = await generator(60).answer('hello', {
        processors: [forceTokens(vocabulary.encode('one END two'))],
        stop: ['END'],
      })
      expect([answer.text, answer.finish, answer.tokens.length]).toEqual(['one ', 'stop', 7])
      // The beginning of a stop text at the end of an answer is text as any other.
      const cut = await forced('one END two', { stop: ['END'], maxNewTokens: 6 })
      expect([cut.map(({ text }) => text).join(''), cut.at(-1)!.finish]).toEqual(['one EN', 'length'])
    })

    it('are those of all answers of beam search', async () => {
      const options = { numBeams: 3, numReturned: 2, maxNewTokens: 5 }
      const answers = await generator().answer('hello', options)
      const pieces = await collected(generator().pieces('hello', options))
      expect(pieces.map(({ index, text, finish }) => ({ index, text, finish }))).toEqual(
        answers.map(({ text, finish }, index) => ({ index, text, finish })),
      )
    })

    it('answer token ids as the text that has them, and refuse ids that there are not', async () => {
      const g = generator()
      const ids = [...vocabulary.encode('hello'), 1]
      const textOf = (pieces: readonly AnswerPiece[]): string => pieces.map(({ text }) => text).join('')
      expect(textOf(await collected(g.pieces(ids)))).toBe((await g.answer('hello'))[0].text)
      await expect(collected(g.pieces([5, vocabulary.size, 1]))).rejects.toThrow(
        `the input has the token id ${vocabulary.size}`,
      )
      await expect(collected(g.pieces([]))).rejects.toThrow('the input has no tokens')
    })
  })

  it("keeps to the model's limits where it is given none", async () => {
    const limited = { ...modelOf(12), limits: { maxInputTokens: 4 } }
    await expect(new TextGenerator(limited).answer('hello')).rejects.toThrow('the input has 6 tokens, and at most 4')
    await new TextGenerator(limited, { maxInputTokens: 6 }).answer('hello')
  })

  it('gives the same answers to simultaneous calls as to single calls', async () => {
    const g = generator()
    const asked = ways.map(([text, options]) => [text, options] as const)
    const together = await Promise.all(asked.map(([text, options]) => g.answer(text, options)))
    for (const [i, [text, options]] of asked.entries()) {
      expect((await g.answer(text, options)).map(a => a.tokens)).toEqual(together[i].map(a => a.tokens))
    }
  })

  it('scores given answers: the probabilities of different first tokens are a part of 1', async () => {
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

  it('ends a call when its signal is aborted or its reader leaves, and continues the other calls', async () => {
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

  it('answers many texts in their order, whatever their lengths, and reports each', async () => {
    const texts = ['a longer text than the others', '', 'hello', 'hi', 'hello']
    const done: number[] = []
    const answers = await generator().answerAll(texts, { numBeams: 2 }, count => done.push(count))
    expect(done).toEqual([1, 2, 3, 4, 5])
    const g = generator()
    for (const [i, text] of texts.entries())
      expect(answers[i][0].tokens).toEqual((await g.answer(text, { numBeams: 2 }))[0].tokens)
    expect(await g.answerAll([])).toEqual([])
  })

  describe('with a processor or a search that a program supplies', () => {
    const token = (text: string): number => vocabulary.encode(text)[0]
    /** Appends the letters of a word one after the other, then EOS. */
    const spell =
      (word: string) =>
      ({ maxNewTokens }: SearchOptions): Search => {
        const tokens: number[] = []
        return {
          rows: 1,
          next: () => {
            tokens.push([...vocabulary.encode(word), 1][tokens.length])
            return tokens.at(-1) === 1 || tokens.length === maxNewTokens
              ? null
              : { tokens: [tokens.at(-1)!], parents: null }
          },
          answers: () => [{ tokens, score: 7, logProbabilities: [] }],
        }
      }

    it('changes scores by a custom processor, after the built-in ones', async () => {
      const onlyB: ScoreProcessor = (scores, tokens) => {
        const banned = scores[token('b')] === -Infinity
        scores.fill(-Infinity)
        scores[banned || tokens.length > 3 ? 1 : token('b')] = 0
      }
      const [{ text }] = await generator().answer('hello', { processors: [onlyB] })
      expect(text).toBe('bbb')
      expect((await generator().answer('hello', { processors: [onlyB], banned: ['b'] }))[0].text).toBe('')
      await expect(generator().answer('hello', { stop: ['a', ''] })).rejects.toThrow('a stop text is empty')
    })

    it('chooses tokens by a custom search, whole and streamed', async () => {
      const g = generator()
      expect(await g.answer('hello', { search: spell('word') })).toEqual([
        { text: 'word', tokens: [...vocabulary.encode('word'), 1], score: 7, finish: 'stop' },
      ])
      expect((await collected(g.stream('hello', { search: spell('word') }))).join('')).toBe('word')
      expect((await g.answer('hello', { search: spell('word'), maxNewTokens: 2 }))[0].text).toBe('wo')
      await expect(g.answer('hello', { search: spell('word'), numBeams: 2 })).rejects.toThrow('cannot be combined')
    })

    it('ends a search at the limit of the model, even if the search would go on', async () => {
      const endless = (): Search => {
        let count = 0
        return {
          rows: 1,
          next: () => ({ tokens: [3 + (count++ % 9)], parents: null }),
          answers: () => [{ tokens: [count], score: NaN, logProbabilities: [] }],
        }
      }
      expect((await generator().answer('hello', { search: endless }))[0].tokens).toEqual([12])
    })

    it.each([
      ['two tokens for a row', { tokens: [5, 5], parents: null }, 'a search of 1 row chose the tokens [5,5]'],
      ['a token that does not exist', { tokens: [9999], parents: null }, 'it needs one token id below'],
      ['the tokens of a row that does not exist', { tokens: [5], parents: [1] }, 'after the rows [1]'],
    ])('refuses a search that chooses %s, and answers the rest of the batch', async (_, next, message) => {
      const wrong: Search = { rows: 1, next: () => next, answers: () => [] }
      const g = generator()
      const right = g.answer('hello')
      await expect(g.answer('hello', { search: () => wrong })).rejects.toThrow(message)
      expect((await right)[0].tokens).toEqual((await g.answer('hello'))[0].tokens)
    })
  })

  it('refuses options that contradict each other', async () => {
    await expect(generator().answer('x', { doSample: false, seed: 1 })).rejects.toThrow('doSample is false')
    await expect(generator().answer('x', { numReturned: 2 })).rejects.toThrow('set numBeams, or')
  })

  it.each<TextOptions>([{}, { numBeams: 3 }, { seed: 2 }])('never answers with a banned text: %j', async options => {
    const g = generator()
    const [{ text }] = await g.answer('hello', options)
    const banned = text.slice(1, 3)
    expect(banned).toHaveLength(2)
    expect((await g.answer('hello', { ...options, banned: [banned] }))[0].text).not.toContain(banned)
  })

  it('gives several sampled answers, each of its own stream, the first as if it were alone', async () => {
    const g = generator()
    const options = { seed: 4, temperature: 1.5 }
    const several = await g.answer('hello', { ...options, numReturned: 3 })
    expect(several[0].tokens).toEqual((await g.answer('hello', options))[0].tokens)
    expect(new Set(several.map(({ text }) => text)).size).toBe(3)
    expect(await g.answer('hello', { ...options, numReturned: 3 })).toEqual(several)
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
