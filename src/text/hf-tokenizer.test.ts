import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ByteVocabulary } from './bytes.js'
import { hfTokenizerFiles } from './hf-tokenizer.js'
import { SentencePieceVocabulary } from './sentencepiece.js'
import { CharacterVocabulary } from './symbols.js'
import { fromTokenizerJson } from './tokenizer-json.js'

const read = (path: string): Uint8Array => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)))
const json = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes)) as unknown

describe('hfTokenizerFiles', () => {
  const t5 = SentencePieceVocabulary.fromModel(read('assets/t5-vocab/spiece.model'))
  it.each([
    ["T5's", t5, 100],
    ['some of its pieces, without sentinels', t5.restrictTo(new Set(t5.encode('The cat sat'))), 0],
  ])('of %s: both files are the vocabulary itself', (_, vocabulary, sentinels) => {
    const files = hfTokenizerFiles(vocabulary)!
    const again = fromTokenizerJson(json(files['tokenizer.json']))
    const fromModel = SentencePieceVocabulary.fromModel(files['spiece.model'], sentinels)
    expect(fromModel.toJSON()).toEqual(vocabulary.toJSON())
    // A tokenizer.json without sentinels is read with T5's.
    expect(again.sentinelIds.slice(0, sentinels)).toEqual(vocabulary.sentinelIds)
    for (const text of [
      `The  cat sat ${sentinels > 0 ? '<extra_id_0>' : ''} Ｈｅｌｌｏ `,
      ' naïve\u00a0café',
      '',
      '\u{1F600}',
    ])
      expect(again.encode(text)).toEqual(vocabulary.encode(text))
    expect(json(files['tokenizer_config.json'])).toMatchObject({ tokenizer_class: 'T5Tokenizer', extra_ids: sentinels })
  })

  it("of ByT5's is a configuration, and other vocabularies have none", () => {
    const files = hfTokenizerFiles(new ByteVocabulary(7))!
    expect(Object.keys(files)).toEqual(['tokenizer_config.json'])
    expect(json(files['tokenizer_config.json'])).toMatchObject({ tokenizer_class: 'ByT5Tokenizer', extra_ids: 7 })
    const added = [{ id: 266, content: '<tab>' }]
    const more = hfTokenizerFiles(new ByteVocabulary(7, { added }))!
    expect(json(more['tokenizer_config.json'])).toMatchObject({
      extra_ids: 0,
      added_tokens_decoder: { 1: { content: '</s>' }, 265: { content: '<extra_id_6>' }, 266: { content: '<tab>' } },
    })
    expect(hfTokenizerFiles(new CharacterVocabulary(['a', 'b']))).toBeUndefined()
    // It has user-defined pieces.
    const small = SentencePieceVocabulary.fromModel(read('test/fixtures/vocabulary/small.model'))
    expect(hfTokenizerFiles(small)).toBeUndefined()
  })
})
