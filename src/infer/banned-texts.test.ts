import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it, vi } from 'vitest'
import { loadT5Vocabulary } from '../data/vocabularies/load-vocabulary.js'
import { ByteVocabulary } from '../text/bytes.js'
import { fromTokenizerJson } from '../text/tokenizer-json.js'
import { banTexts } from './banned-texts.js'

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

it('decodes the tokens of a vocabulary once', async () => {
  const t5 = await loadT5Vocabulary()
  banTexts(['house'], t5)
  const decode = vi.spyOn(t5, 'decode')
  banTexts(['cat'], t5)
  expect(decode).not.toHaveBeenCalled()
})
