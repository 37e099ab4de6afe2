import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../base/errors.js'
import { isBuiltIn, vocabularyFromJSON, vocabularySpec } from './from-json.js'
import { ByteVocabulary } from './bytes.js'
import { MarkedWordsVocabulary } from './marked-words.js'
import { fromTokenizerJson } from './tokenizer-json.js'
import { SentencePieceVocabulary } from './sentencepiece.js'
import { CharacterVocabulary, sideBySide, WordVocabulary } from './symbols.js'
import type { Vocabulary } from './vocabulary.js'
import { vocabularyConformance } from '../../test/conformance/vocabulary.js'

const g2p = (): ReturnType<typeof sideBySide> => sideBySide(['a', 'b', '\u{1f600}'], ['AA', 'B', 'a'])

vocabularyConformance('characters', () => CharacterVocabulary.fromTexts(['héllo wörld', '\u{1f600}']), [
  'hello'.replace('e', 'é'),
  'lw \u{1f600}',
  '',
  ' d',
])
vocabularyConformance('words', () => WordVocabulary.fromTexts(['AA B', 'K']), ['AA', 'B K AA', ''])
vocabularyConformance('characters beside words', () => g2p().characters, ['ab', '\u{1f600}'])
vocabularyConformance('words beside characters', () => g2p().words, ['AA B', 'a'])

vocabularyConformance(
  'marked words of symbols',
  () => new MarkedWordsVocabulary(WordVocabulary.fromTexts(['AA B']), [9, 7]),
  ['AA', 'B B AA B', ''],
)
vocabularyConformance('marked words of bytes', () => new MarkedWordsVocabulary(new ByteVocabulary(), [259, 260]), [
  'hello',
  'grüße an alle',
])

describe('marked words', () => {
  const vocabulary = new MarkedWordsVocabulary(WordVocabulary.fromTexts(['a b c']), [10, 11])

  it('have a marker each, from the first one again where a text has more words', () => {
    expect(vocabulary.encode(' a  b\ta c')).toEqual([10, 3, 11, 4, 10, 3, 10 + 1, 5])
    expect(vocabulary.size).toBe(12)
  })

  it('are decoded without markers, wherever these are', () => {
    expect(vocabulary.decode([10, 3, 11, 4])).toBe('a b')
    expect(vocabulary.decode([11, 11, 3, 4, 10, 5, 10])).toBe('a b c')
  })

  it('take the sentinels of another vocabulary, which texts then cannot have', () => {
    const bytes = new ByteVocabulary(2)
    const marked = new MarkedWordsVocabulary(bytes, bytes.sentinelIds)
    expect(marked.encode('a<extra_id_1>b')).toEqual([259, 100, 101])
  })

  it('need words of a built-in vocabulary, which a checkpoint can hold', () => {
    class OwnWords extends WordVocabulary {}
    const changed = Object.assign(new WordVocabulary(['a']), { encode: () => [3] })
    for (const words of [new OwnWords(['a']), changed, vocabulary])
      expect(() => new MarkedWordsVocabulary(words, [9])).toThrow('must have a vocabulary of this library')
  })

  it('need different markers, which fit an embedding table', () => {
    for (const ids of [[], [9, 9], [2], [9.5], [2 ** 24], [2 ** 40]])
      expect(() => new MarkedWordsVocabulary(new ByteVocabulary(), ids)).toThrow('markers with different ids')
  })
})

describe('characters', () => {
  it('are sorted and numbered from 3, whatever the order of the texts', () => {
    const vocabulary = CharacterVocabulary.fromTexts(['ca', 'b\u{1f600}'])
    expect(vocabulary.symbols).toEqual(['a', 'b', 'c', '\u{1f600}'])
    expect(vocabulary.encode('abc\u{1f600}?')).toEqual([3, 4, 5, 6, 2])
    expect(CharacterVocabulary.fromTexts(['\u{1f600}b', 'ac']).toJSON()).toEqual(vocabulary.toJSON())
    expect(vocabulary.size).toBe(7)
  })
})

describe('words', () => {
  it('are separated by any white space and joined by one space', () => {
    const vocabulary = WordVocabulary.fromTexts(['B  AA\tK\n'])
    expect(vocabulary.encode(' K\tB \u00a0 X ')).toEqual([5, 4, 2])
    expect(vocabulary.decode([5, 4, 2])).toBe('K B \u2047')
  })
})

describe('side by side', () => {
  it('share one id space and no id', () => {
    const { characters, words } = g2p()
    expect([characters.size, words.size]).toEqual([9, 9])
    expect(characters.encode('ab\u{1f600}')).toEqual([3, 4, 5])
    expect(words.encode('AA B a')).toEqual([6, 7, 8])
    expect(words.decode([3, 6])).toBe('\u2047 AA')
  })
})

describe('isBuiltIn', () => {
  const spiece = readFileSync(resolve(import.meta.dirname, '../../test/fixtures/vocabulary/small.model'))
  const of: { [K in ReturnType<typeof vocabularySpec.parse>['kind']]: () => Vocabulary } = {
    characters: () => new CharacterVocabulary(['a']),
    words: () => new WordVocabulary(['a']),
    bytes: () => new ByteVocabulary(),
    sentencepiece: () => SentencePieceVocabulary.fromModel(spiece),
    tokenizerJson: () =>
      fromTokenizerJson({
        model: {
          type: 'WordLevel',
          unk_token: '<unk>',
          vocab: { '<pad>': 0, '</s>': 1, '<unk>': 2, a: 3 },
        },
      }),
    markedWords: () => new MarkedWordsVocabulary(new WordVocabulary(['a']), [9]),
  }

  for (const { shape } of vocabularySpec.options) {
    const kind = shape.kind.value
    it(`knows ${kind}, but no changed encoding of it`, () => {
      expect(isBuiltIn(of[kind]())).toBe(true)
      expect(isBuiltIn(vocabularyFromJSON(of[kind]().toJSON()))).toBe(true)
      expect(isBuiltIn(Object.assign(of[kind](), { encode: () => [] }))).toBe(false)
      expect(isBuiltIn(Object.create(of[kind]()) as Vocabulary)).toBe(false)
    })
  }

  it('looks at the words of marked words', () => {
    const words = new WordVocabulary(['a'])
    const marked = new MarkedWordsVocabulary(words, [9])
    Object.assign(words, { encode: () => [] })
    expect(isBuiltIn(marked)).toBe(false)
  })
})

describe('vocabularyFromJSON', () => {
  const bad: [string, unknown, RegExp][] = [
    ['an unknown kind', { kind: 'runes', symbols: [] }, /not a vocabulary/],
    ['no object', null, /not a vocabulary/],
    ['two code points', { kind: 'characters', symbols: ['ab'] }, /single code point/],
    ['a space in a word', { kind: 'words', symbols: ['a b'] }, /white space/],
    ['an empty word', { kind: 'words', symbols: [''] }, /symbols\[0\]/],
    ['a symbol twice', { kind: 'words', symbols: ['x', 'y', 'x'] }, /"x" is listed twice/],
    ['symbols past the size', { kind: 'words', symbols: ['x', 'y'], size: 4 }, /do not fit a size of 4/],
    ['symbols on special ids', { kind: 'words', symbols: ['x'], firstId: 1 }, /firstId/],
    ['a giant size', { kind: 'words', symbols: ['x'], size: 1e12 }, /size/],
    [
      'a giant marker',
      { kind: 'markedWords', words: { kind: 'bytes', sentinels: 0 }, markerIds: [2 ** 40] },
      /markerIds/,
    ],
    ['an unknown key', { kind: 'words', symbols: ['x'], sizes: 4 }, /sizes/],
  ]
  for (const [what, spec, message] of bad) {
    it(`refuses ${what}`, () => {
      expect(() => vocabularyFromJSON(spec)).toThrow(ConfigError)
      expect(() => vocabularyFromJSON(spec)).toThrow(message)
    })
  }
})
