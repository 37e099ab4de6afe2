import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { vocabularyFromJSON } from '../../src/text/from-json.js'
import { UNKNOWN_TEXT } from '../../src/text/vocabulary.js'
import type { Vocabulary } from '../../src/text/vocabulary.js'

/**
 * The tests that every vocabulary must pass: call it from a test file with a way to make one and some texts that the
 * vocabulary must give back unchanged.
 */
export function vocabularyConformance(
  name: string,
  make: () => Vocabulary,
  roundTrips: readonly string[],
  special: readonly number[] = [0, 1, 2],
): void {
  describe(`${name}: the suite of every vocabulary`, () => {
    const vocabulary = make()
    const { padId, eosId } = vocabulary
    const anyText = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('</s>', '<pad>', '<unk>', '\u0000', '\ud800', UNKNOWN_TEXT, '  ', ''),
      fc.array(fc.constantFrom(...roundTrips), { maxLength: 4 }).map(parts => parts.join(' ')),
    )
    const anyId = fc.integer({ min: 0, max: vocabulary.size + 100 })

    it(`has the special ids ${special.join(', ')}`, () => {
      expect([vocabulary.padId, vocabulary.eosId, vocabulary.unkId]).toEqual(special)
      expect(vocabulary.size).toBeGreaterThan(2)
    })

    it('gives back the texts that it knows', () => {
      for (const text of roundTrips) {
        expect(vocabulary.encode(text)).not.toContain(vocabulary.unkId)
        expect(vocabulary.decode(vocabulary.encode(text))).toBe(text)
      }
    })

    it('encodes any text to ids below its size, to padding or EOS only where their texts are in it', () => {
      fc.assert(
        fc.property(anyText, text => {
          const isNamed = /<pad>|<\/s>/.test(text)
          for (const id of vocabulary.encode(text)) {
            expect(Number.isInteger(id) && id >= 0 && id < vocabulary.size).toBe(true)
            expect(!isNamed && (id === vocabulary.padId || id === vocabulary.eosId)).toBe(false)
          }
        }),
      )
    })

    // SentencePiece encodes its own text of an unknown piece as two question marks, so this holds only without unknown
    // pieces.
    const readsUnknown = vocabulary.encode(UNKNOWN_TEXT).includes(vocabulary.unkId)

    it('is stable after one round: decoded text encodes and decodes to itself', () => {
      fc.assert(
        fc.property(anyText, text => {
          const ids = vocabulary.encode(text)
          fc.pre(readsUnknown || !ids.includes(vocabulary.unkId))
          const once = vocabulary.decode(ids)
          expect(vocabulary.decode(vocabulary.encode(once))).toBe(once)
        }),
      )
    })

    it('decodes any ids, also those that only a padded embedding table has', () => {
      fc.assert(
        fc.property(fc.array(anyId), ids => {
          expect(typeof vocabulary.decode(ids)).toBe('string')
          expect(vocabulary.decode(Int32Array.from(ids))).toBe(vocabulary.decode(ids))
        }),
      )
      expect(vocabulary.decode([vocabulary.size])).toContain(UNKNOWN_TEXT)
    })

    it('stops at EOS and skips padding', () => {
      for (const text of roundTrips) {
        const ids = vocabulary.encode(text)
        expect(vocabulary.decode([padId, ...ids.flatMap(id => [id, padId]), eosId, ...ids])).toBe(text)
      }
      expect(vocabulary.decode([])).toBe('')
      expect(vocabulary.decode([eosId, vocabulary.unkId])).toBe('')
    })

    it('streams what it decodes, never half a character', () => {
      const streamed = (ids: readonly number[]): string[] => {
        const stream = vocabulary.stream()
        return [...ids.map(id => stream.push(id)), stream.end(), stream.end()]
      }
      for (const text of roundTrips) {
        const pieces = streamed(vocabulary.encode(text))
        expect(pieces.join('')).toBe(text)
        for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}|\ufffd/u)
      }
      fc.assert(
        fc.property(fc.array(anyId), ids => {
          const pieces = streamed(ids)
          expect(pieces.join('')).toBe(vocabulary.decode(ids))
          for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u)
        }),
      )
    })

    it('tells the bytes of tokens that are parts of characters', () => {
      const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
      for (const text of roundTrips) {
        const ids = vocabulary.encode(text)
        for (const id of ids)
          if (vocabulary.decode([id]).includes('\ufffd')) expect(vocabulary.bytesOf?.(id)).toBeDefined()
        const runs: number[][] = [[]]
        for (const id of ids) {
          const bytes = vocabulary.bytesOf?.(id)
          if (bytes) runs.at(-1)!.push(...bytes)
          else runs.push([])
        }
        for (const run of runs) expect(text).toContain(utf8.decode(Uint8Array.from(run)).trimStart())
      }
    })

    it('encodes its sentinels from text and decodes them', () => {
      const { sentinelIds } = vocabulary
      expect(new Set(sentinelIds).size).toBe(sentinelIds.length)
      sentinelIds.forEach((id, k) => {
        expect(id).toBeLessThan(vocabulary.size)
        expect(vocabulary.encode(`<extra_id_${k}>`)).toEqual([id])
        expect(vocabulary.decode([id])).toBe(`<extra_id_${k}>`)
      })
      const oneMore = vocabulary.encode(`<extra_id_${sentinelIds.length}>`)
      expect(oneMore.some(id => sentinelIds.includes(id))).toBe(false)
    })

    it('is the same after JSON', () => {
      const again = vocabularyFromJSON(JSON.parse(JSON.stringify(vocabulary)))
      expect(again.size).toBe(vocabulary.size)
      expect(again.sentinelIds).toEqual(vocabulary.sentinelIds)
      expect(again.toJSON()).toEqual(vocabulary.toJSON())
      fc.assert(
        fc.property(anyText, text => {
          expect(again.encode(text)).toEqual(vocabulary.encode(text))
        }),
      )
      fc.assert(
        fc.property(fc.array(anyId), ids => {
          expect(again.decode(ids)).toBe(vocabulary.decode(ids))
        }),
      )
    })
  })
}
