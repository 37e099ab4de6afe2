import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ByteVocabulary } from '../../../src/text/bytes.js'
import { vocabularyFromJSON } from '../../../src/text/from-json.js'
import { SentencePieceVocabulary } from '../../../src/text/sentencepiece.js'
import type { Vocabulary } from '../../../src/text/vocabulary.js'
import { seqioCases } from './cases.js'

const t5 = readFileSync(join(import.meta.dirname, '../../../assets/t5-vocab/spiece.model'))
const seqio = { reference: 'seqio' } as const

/** SeqIO's vocabularies, by the names of the cases. */
const vocabularies: Record<string, Vocabulary> = {
  sentencepiece: SentencePieceVocabulary.fromModel(t5, 100, seqio),
  sentencepiece_no_extra_ids: SentencePieceVocabulary.fromModel(t5, 0, seqio),
  byte: new ByteVocabulary(0, seqio),
  byte_extra_ids_100: new ByteVocabulary(100, seqio),
}

type Ids = number[]
interface Cases {
  properties?: {
    vocabulary: string
    vocab_size: number
    extra_ids: number
    eos_id: number
    unk_id: number
    pad_id: number
  }[]
  [kind: string]: unknown
}
type EncodeCase = { text: string; encode: Ids }
type DecodeCase = { ids: Ids | Ids[]; decode?: string; decode_tf: string | string[] }

const cases = seqioCases<Cases>('vocabularies.json')

describe("SeqIO's vocabularies", () => {
  it('sizes and special ids', () => {
    for (const { vocabulary: name, ...expected } of cases.properties ?? []) {
      const vocabulary = vocabularies[name]
      expect([name, vocabulary.size, vocabulary.sentinelIds.length]).toEqual([
        name,
        expected.vocab_size,
        expected.extra_ids,
      ])
      expect([vocabulary.eosId, vocabulary.unkId, vocabulary.padId]).toEqual([
        expected.eos_id,
        expected.unk_id,
        expected.pad_id,
      ])
      // The k-th sentinel is vocab_size - k, from 1.
      expect(vocabulary.sentinelIds).toEqual(vocabulary.sentinelIds.map((_, k) => expected.vocab_size - 1 - k))
    }
  })

  it.each(Object.entries(vocabularies))('%s: encode and decode, also after JSON', (name, vocabulary) => {
    const again = vocabularyFromJSON(JSON.parse(JSON.stringify(vocabulary)))
    for (const { text, encode } of (cases[`encode_${name}`] ?? []) as EncodeCase[]) {
      expect([text, vocabulary.encode(text)]).toEqual([text, encode])
      expect(again.encode(text)).toEqual(encode)
    }
    for (const { ids, decode, decode_tf } of (cases[`decode_${name}`] ?? []) as DecodeCase[]) {
      const rows = (Array.isArray(ids[0]) ? ids : [ids]) as Ids[]
      const texts = [decode ?? decode_tf].flat()
      expect([ids, rows.map(row => vocabulary.decode(row))]).toEqual([ids, texts])
      expect(rows.map(row => again.decode(row))).toEqual(texts)
    }
  })
})
