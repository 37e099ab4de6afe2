import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../base/errors.js'
import { vocabularyFromJSON } from './from-json.js'
import { ByteVocabulary } from './bytes.js'
import { inputIds } from './special-tokens.js'
import { vocabularyConformance } from '../../test/conformance/vocabulary.js'

const texts = ['', 'hello', '  héllo\twörld\r\n', '日本語 \u{1f469}\u200d\u{1f680}', '\u0000\ufeffx', '\ufeff', '< /s>']
vocabularyConformance('bytes', () => new ByteVocabulary(), texts)
vocabularyConformance('bytes without sentinels', () => new ByteVocabulary(0), [...texts, '<extra_id_0>'])

describe('bytes', () => {
  const vocabulary = new ByteVocabulary()

  it('are the ids of UTF-8, after three special ids', () => {
    expect(vocabulary.encode('Aé\u0000')).toEqual([68, 198, 172, 3])
    expect(vocabulary.size).toBe(384)
  })

  it('are special tokens where their texts are, with the spaces around them', () => {
    expect(vocabulary.encode('a </s> b')).toEqual([100, 1, 101])
    expect(vocabulary.encode('a <pad>b')).toEqual([100, 0, 101])
    expect(vocabulary.encode('<unk>\u00a0é')).toEqual([2, 198, 172])
    expect(vocabulary.encode('a <extra_id_0> b')).toEqual([100, 35, 259, 35, 101])
    expect(inputIds(vocabulary, 'a </s>')).toEqual([100, 1])
    expect(inputIds(vocabulary, 'a')).toEqual([100, 1])
  })

  it('have further tokens', () => {
    const added = [
      { id: 384, content: '<tab>' },
      { id: 0, content: '<pad>' },
    ]
    const more = new ByteVocabulary(125, { added })
    expect(more.encode('aé <tab> <pad> <extra_id_0>')).toEqual([100, 198, 172, 35, 384, 35, 0, 35, 259])
    expect(more.decode([100, 198, 384, 101])).toBe('a\ufffd<tab>b')
    expect(more.size).toBe(385)
    expect(vocabularyFromJSON(more.toJSON()).encode('<tab>')).toEqual([384])
    expect(() => new ByteVocabulary(125, { added: [{ id: 300, content: 'x' }] })).toThrow(/"x" has the id 300/)
  })

  it('give back every well-formed text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(vocabulary.decode(vocabulary.encode(text))).toBe(text)
      }),
      { numRuns: 500 },
    )
  })

  it('have U+FFFD for a lone surrogate', () => {
    expect(vocabulary.encode('a\ud800b')).toEqual(vocabulary.encode('a\ufffdb'))
    expect(vocabulary.encode('\udc00')).toEqual(vocabulary.encode('\ufffd'))
  })

  it('decode bytes that are not UTF-8 to U+FFFD', () => {
    const euro = vocabulary.encode('€')
    expect(vocabulary.decode(euro.slice(0, 2))).toBe('\ufffd')
    expect(vocabulary.decode([...euro.slice(0, 2), ...vocabulary.encode('a€')])).toBe('\ufffda€')
    expect(vocabulary.decode([3 + 0xff, ...euro])).toBe('\ufffd€')
    expect(vocabulary.decode([...euro.slice(0, 1), 2, ...euro])).toBe('\ufffd\u2047€')
  })

  it('number their sentinels upwards from 259, whole ones only', () => {
    expect(vocabulary.encode('a<extra_id_0><extra_id_124> b')).toEqual([100, 259, 383, 35, 101])
    expect(vocabulary.encode('<extra_id_125>')).toHaveLength(14)
    expect(vocabulary.encode('<extra_id_00>')).toHaveLength(13)
    expect(vocabulary.decode([259, 260, 100, 383])).toBe('<extra_id_0><extra_id_1>a<extra_id_124>')
  })

  it('stream a character with its last byte', () => {
    const stream = vocabulary.stream()
    expect(vocabulary.encode('é\u{1f680}').map(id => stream.push(id))).toEqual(['', 'é', '', '', '', '\u{1f680}'])
    expect([stream.push(3 + 0xf0), stream.push(1), stream.push(68), stream.end()]).toEqual(['', '\ufffd', '', ''])
  })

  it('refuse an invalid number of sentinels', () => {
    for (const sentinels of [-1, 0.5, 1e9, '5']) {
      expect(() => vocabularyFromJSON({ kind: 'bytes', sentinels })).toThrow(ConfigError)
    }
    expect(() => new ByteVocabulary(-1)).toThrow(/number of sentinels is -1/)
  })

  it("drop bytes that are not UTF-8, and ids that are not bytes, by SeqIO's rules", () => {
    const seqio = new ByteVocabulary(100, { reference: 'seqio' })
    expect(seqio.size).toBe(359)
    expect(seqio.sentinelIds.slice(0, 2)).toEqual([358, 357])
    expect(seqio.encode('<extra_id_0>')).toHaveLength(12)
    const [first, second] = seqio.encode('é')
    expect(seqio.decode([first, 2, 358, second, 300, 68])).toBe('éA')
    const anyBytes = fc.array(
      fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0xe0, 0xed, 0xf0, 0xf4, 0x80, 0xa0)),
    )
    fc.assert(
      fc.property(anyBytes, bytes => {
        const ids = bytes.map(byte => byte + 3)
        const replaced = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes))
        fc.pre(!Buffer.from(bytes).includes('\ufffd'))
        expect(seqio.decode(ids)).toBe(replaced.replaceAll('\ufffd', ''))
        const stream = seqio.stream()
        expect(ids.map(id => stream.push(id)).join('') + stream.end()).toBe(seqio.decode(ids))
      }),
      { numRuns: 1000 },
    )
    expect(seqio.decode(seqio.encode('\ufffd\ufeff'))).toBe('\ufffd\ufeff')
  })
})
