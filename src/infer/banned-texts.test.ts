import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it, vi } from 'vitest'
import { loadT5Vocabulary } from '../data/vocabularies/load-vocabulary.js'
import { ByteVocabulary } from '../text/bytes.js'
import { SentencePieceVocabulary } from '../text/sentencepiece.js'
import { WordVocabulary } from '../text/symbols.js'
import { fromTokenizerJson } from '../text/tokenizer-json.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { banTexts } from './banned-texts.js'
import { randomStream } from './random-stream.js'

it('makes a text impossible with its space, without it, and in any other pieces', async () => {
  const t5 = await loadT5Vocabulary()
  const ban = banTexts(['house'], t5)
  const isBanned = (id: number, ...answer: number[]): boolean => {
    const scores = new Float32Array(t5.size)
    ban(scores, [0, ...answer])
    return scores[id] === -Infinity
  }
  const [withSpace, without] = [629, 1840]
  expect(t5.decode([withSpace])).toBe('house')
  expect([isBanned(withSpace), isBanned(without), isBanned(8)]).toEqual([true, true, false])
  const [space, h] = t5.encode('h')
  const ouse = t5.encode('xouse').slice(-2)
  expect(t5.decode([space, h, ...ouse])).toBe('house')
  expect(isBanned(ouse[1], space, h, ouse[0])).toBe(true)
  expect(isBanned(ouse[1], ouse[0])).toBe(false)
  expect(() => banTexts([''], t5)).toThrow(/empty/)
  // A banned text that ends within the beginning of another one.
  const bytes = new ByteVocabulary()
  const [a, b] = bytes.encode('ab')
  expect(banTexts(['abc', 'b'], bytes).bans!([0, a])).toEqual([b])
})

const bpeFile = resolve(import.meta.dirname, '../../test/fixtures/cases/18-bpe-tokenizer-json/tokenizer.json')
it.each([
  ['bytes', () => new ByteVocabulary()],
  ['byte-level BPE', () => fromTokenizerJson(JSON.parse(readFileSync(bpeFile, 'utf8')))],
])('makes characters impossible that are divided into tokens: %s', (_, load) => {
  const vocabulary = load()
  const ids = vocabulary.encode('cafés 日本')
  // The number of tokens before the one that completes the text.
  for (const [text, at] of [
    ['é', 4],
    ['fé', 4],
    ['afés', 5],
    ['日本', 12],
  ] as const) {
    const ban = banTexts([text], vocabulary)
    const banned = ids.filter((id, i) => {
      const scores = new Float32Array(vocabulary.size)
      ban(scores, [0, ...ids.slice(0, i)])
      return scores[id] === -Infinity
    })
    expect(banned, text).toEqual([ids[at]])
  }
})

const smallModel = resolve(import.meta.dirname, '../../test/fixtures/vocabulary/small.model')
it.each<[string, () => Vocabulary | Promise<Vocabulary>]>([
  ['T5', loadT5Vocabulary],
  ['byte fallback', () => SentencePieceVocabulary.fromModel(readFileSync(smallModel), 0)],
  ['bytes', () => new ByteVocabulary()],
  ['byte-level BPE', () => fromTokenizerJson(JSON.parse(readFileSync(bpeFile, 'utf8')))],
  ['words', () => WordVocabulary.fromTexts(['the cat sat on the mat', 'café 日本'])],
])('makes exactly those tokens impossible with which an answer contains a text: %s', async (_, load) => {
  const vocabulary = await load()
  const random = randomStream(0)
  const below = (end: number): number => Math.floor(random() * end)
  const some = ['the cat sat', 'café 日本', 'xaaab aab', '𝄞', '<extra_id_0> a'].flatMap(text => vocabulary.encode(text))
  for (let round = 0; round < 40; round++) {
    const answer = Array.from({ length: below(8) }, () => some[below(some.length)])
    const next = [...some, ...Array.from({ length: 20 }, () => below(vocabulary.size))]
    // Texts that a next token completes; also those that begin with the answer's incomplete character.
    const texts = Array.from({ length: 3 }, () => {
      const whole = vocabulary.decode([...answer, next[below(next.length)]])
      return Array.from(whole)
        .slice(-1 - below(4))
        .join('')
    }).filter(text => text !== '' && !vocabulary.decode(answer).includes(text))
    const scores = new Float32Array(vocabulary.size)
    banTexts(texts, vocabulary)(scores, [0, ...answer])
    const contains = (ids: readonly number[]): boolean => texts.some(text => vocabulary.decode(ids).includes(text))
    const wanted = next.filter(id => contains([...answer, id]))
    expect(next.filter(id => scores[id] === -Infinity)).toEqual(wanted)
  }
})

it('decodes the tokens of a vocabulary once', async () => {
  const t5 = await loadT5Vocabulary()
  banTexts(['house'], t5)
  const decode = vi.spyOn(t5, 'decode')
  banTexts(['cat'], t5)
  expect(decode).not.toHaveBeenCalled()
})
