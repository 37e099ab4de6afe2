import fc from 'fast-check'
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { FileError } from '../../../base/errors.js'
import type { Fields } from '../../preprocessor.js'
import { checkCut } from '../records.js'
import { crc32c, maskedCrc32c } from './crc32c.js'
import { tfExampleFormat } from './example.js'
import type { FeatureType } from './example.js'
import { cutTfRecords, frameTfRecord } from './framing.js'

// tensorflow/core/example/feature.proto and example.proto
const { root } = protobuf.parse(`syntax = "proto3";
  message BytesList { repeated bytes value = 1; }
  message FloatList { repeated float value = 1 [packed = true]; }
  message Int64List { repeated int64 value = 1 [packed = true]; }
  message LooseInt64List { repeated int64 value = 1 [packed = false]; }
  message Feature { oneof kind { BytesList bytesList = 1; FloatList floatList = 2; Int64List int64List = 3; LooseInt64List loose = 4; } }
  message Features { map<string, Feature> feature = 1; }
  message Example { Features features = 1; }`)
const Example = root.lookupType('Example')
const encode = (feature: object): Uint8Array => Example.encode(Example.create({ features: { feature } })).finish()

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size)
}

async function records(bytes: Uint8Array, chunk = 7): Promise<{ bytes: Uint8Array; start: number }[]> {
  const found = []
  for await (const record of cutTfRecords(chunksOf(bytes, chunk), 'a.tfrecord')) {
    checkCut(record)
    found.push(record)
  }
  return found
}

describe('crc32c', () => {
  it('gives the values of RFC 3720, section B.4', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
    expect(maskedCrc32c(Buffer.from('123456789'))).toBe(0xc78ab0e5)
  })
})

describe('frames of TFRecord', () => {
  it('are cut whatever the chunks are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 })),
        fc.integer({ min: 1, max: 50 }),
        async (data, chunk) => {
          const file = Buffer.concat(data.map(frameTfRecord))
          const found = await records(file, chunk)
          expect(found.map(({ bytes }) => Array.from(bytes))).toEqual(data.map(bytes => Array.from(bytes)))
          for (const { bytes, start } of found)
            expect(file.subarray(start, start + bytes.length).equals(bytes)).toBe(true)
        },
      ),
    )
  })

  it('that are changed or cut off are refused, with the number of the record', async () => {
    const file = Buffer.concat([frameTfRecord(Buffer.from('one')), frameTfRecord(Buffer.from('two'))])
    for (let at = 19; at < file.length; at++) {
      const changed = Uint8Array.from(file)
      changed[at] ^= 4
      await expect(records(changed)).rejects.toThrow(/a\.tfrecord: record 2 \(at byte 19\): .*checksum/)
      if (at > 19)
        await expect(records(file.subarray(0, at))).rejects.toThrow(/record 2 \(at byte 19\): the file is cut off/)
    }
    await expect(records(frameTfRecord(new Uint8Array(2 ** 24 + 1)))).rejects.toThrow(
      /has 16777217 bytes; at most 16.00 MiB/,
    )
  })
})

describe('frames that are bad', () => {
  it('do not hide those after them, unless the checksum of their length is wrong', async () => {
    const [one, two] = ['one', 'two'].map(text => frameTfRecord(Buffer.from(text)))
    const damaged = Uint8Array.from(one)
    damaged[13] ^= 4
    const tooLong = frameTfRecord(new Uint8Array(2 ** 24 + 1))
    const file = Buffer.concat([damaged, two, tooLong, one, two.subarray(0, 15)])
    const found: [string, string | undefined][] = []
    for await (const { bytes, problem } of cutTfRecords(chunksOf(file, 1 << 16), 'a.tfrecord'))
      found.push([Buffer.from(bytes).toString(), problem?.slice(0, 21)])
    expect(found).toEqual([
      ['', 'its checksum is wrong'],
      ['two', undefined],
      ['', 'has 16777217 bytes; a'],
      ['one', undefined],
      ['', 'the file is cut off h'],
    ])
    damaged[0] ^= 4
    await expect(records(Buffer.concat([damaged, two]))).rejects.toThrow('no record after this one can be found')
  })
})

describe('tf.train.Example', () => {
  const bytes = encode({
    text: { bytesList: { value: [Buffer.from('grüße')] } },
    words: { bytesList: { value: [Buffer.from('a'), Buffer.from('b')] } },
    ids: { int64List: { value: [1, -2, 300] } },
    score: { floatList: { value: [0.5] } },
  })
  const parse = (types?: Record<string, FeatureType>): Fields | undefined =>
    tfExampleFormat(types).parse(bytes, 'a: record 1')

  it('has its features as values', () => {
    expect(parse()).toMatchObject({ text: 'grüße', words: ['a', 'b'], ids: Int32Array.of(1, -2, 300), score: 0.5 })
  })

  it('has the features of the given types', () => {
    expect(parse({ text: 'texts', ids: 'ints', score: 'floats' })).toEqual({
      text: ['grüße'],
      ids: Int32Array.of(1, -2, 300),
      score: Float32Array.of(0.5),
    })
    expect(() => parse({ ids: 'int' })).toThrow(
      'a: record 1: the feature "ids" has 3 values, not one: read it as "ints"',
    )
    expect(() => parse({ text: 'int' })).toThrow('a: record 1: the feature "text" holds texts, not ints')
    expect(() => parse({ none: 'int' })).toThrow(/has no feature "none"; it has text, words, ids/)
  })

  it('reads numbers of 64 bits, packed or each in a field of its own', () => {
    // Feature { int64_list { value: 2^53 + 1, value: -1 } }, not packed.
    const list = [0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0x08, ...new Array<number>(9).fill(0xff), 0x01]
    const feature = [0x1a, list.length, ...list]
    const entry = [0x0a, 1, 0x78, 0x12, feature.length, ...feature]
    const features = [0x0a, entry.length, ...entry]
    const example = Uint8Array.from([0x0a, features.length, ...features])
    expect(tfExampleFormat().parse(example, 'a')).toEqual({ x: [2n ** 53n + 1n, -1n] })
  })

  it('refuses bytes that are none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), noise => {
        try {
          tfExampleFormat().parse(noise, 'a: record 1')
        } catch (error) {
          expect(error).toBeInstanceOf(FileError)
        }
      }),
    )
  })
})
