import { appendFile, mkdtemp, open, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FileError } from '../base/errors.js'
import { hostFrom } from '../base/host-tensor.js'
import { readTensors, sourceOf } from './format.js'
import { detectFormat } from '../../test/conformance/formats.js'
import { safetensors } from './safetensors.js'

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-safetensors-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const bytesOfDoubles = (values: readonly number[]): Uint8Array => new Uint8Array(new Float64Array(values).buffer)

let count = 0
/** A file of a header (text, or a value to be written as JSON) and so many bytes of data. */
async function fileOf(header: unknown, dataBytes = 0): Promise<string> {
  const path = join(scratch, `${count++}.safetensors`)
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  await writeFile(path, Buffer.concat([length, text, Buffer.alloc(dataBytes)]))
  return path
}

async function failure(path: string): Promise<string> {
  const error: unknown = await safetensors.open(path).then(
    reader => reader.close(),
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(FileError)
  const { message } = error as FileError
  expect(message.startsWith(`${path}: `)).toBe(true)
  return message.slice(path.length + 2)
}

const w = (changes: object = {}): object => ({ w: { dtype: 'F32', shape: [1], data_offsets: [0, 4], ...changes } })

describe('safetensors: hostile files', () => {
  const folder = fileURLToPath(new URL('../../test/fixtures/hostile/', import.meta.url))
  const expected: Record<string, RegExp> = {
    'duplicate-key': /the key "w" appears twice in one object.*download/,
    empty: /the file is empty.*download/,
    'header-length-huge': /header claims 9,223,372,036,854,77.*allows 100,000,000/,
    'header-length-past-end': /header claims 5,000 bytes, and the file has 2 after/,
    'header-not-json': /not the JSON.*character 2: expected a string/,
    'negative-shape': /^tensor "w": its shape has a negative number, -1/,
    'offsets-overlap': /^tensor "b" overlaps tensor "a"/,
    'offsets-past-end': /^tensor "w" ends at byte 16 of the data, and the file has 8.*cut off/,
    'proto-key': /"__proto__" is not allowed/,
    'seven-bytes': /has 7 bytes.*8 bytes of header length/,
    'shape-mismatch': /^tensor "w": F32\[5\] needs 20 bytes, and data_offsets \[0, 16\] give it 16/,
    'shape-overflow': /^tensor "w": the shape \[4294967296,4294967296\] overflows/,
    'unknown-dtype': /^tensor "w": the dtype "Q3" is unknown/,
  }

  it('has an expectation for every file', async () => {
    const names = (await readdir(folder))
      .filter(n => n.endsWith('.safetensors'))
      .map(n => n.replace('.safetensors', ''))
    expect(names.sort()).toEqual(Object.keys(expected).sort())
  })

  it.each(Object.entries(expected))('%s', async (name, message) => {
    const path = join(folder, `${name}.safetensors`)
    expect((await detectFormat(path)).name).toBe('safetensors')
    const started = performance.now()
    expect(await failure(path)).toMatch(message)
    expect(performance.now() - started).toBeLessThan(20_000) // a few ms; one that follows the file's sizes never ends
  })

  it('gives each its own message', async () => {
    const messages = await Promise.all(Object.keys(expected).map(name => failure(join(folder, `${name}.safetensors`))))
    expect(new Set(messages).size).toBe(messages.length)
  })
})

describe('safetensors: what the format forbids', () => {
  it.each<[string, unknown, number, RegExp]>([
    ['a header that is no object', '[]', 0, /does not begin with "\{"/],
    ['white space before the header', ' {}', 0, /does not begin with "\{"/],
    ['a byte order mark', '\ufeff{}', 0, /does not begin with "\{"/],
    ['an empty header', '', 0, /does not begin with "\{"/],
    ['two headers', '{}{}', 0, /character 3: expected the end/],
    ['a trailing comma', '{"__metadata__":{},}', 0, /expected a string/],
    ['metadata that is not text', { __metadata__: { a: 1 } }, 0, /metadata "a": .*expected a string/],
    ['metadata that is a list', { __metadata__: [] }, 0, /expected "\{"/],
    ['metadata twice', '{"__metadata__":{},"__metadata__":{}}', 0, /appears twice/],
    [
      'a field twice',
      '{"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      4,
      /tensor "w".*"dtype" appears twice/,
    ],
    ['a field too many', w({ stride: [1] }), 4, /tensor "w": has the field "stride"/],
    ['a field too few', { w: { dtype: 'F32', shape: [1] } }, 4, /tensor "w".*missing/],
    ['one offset', w({ data_offsets: [0] }), 4, /tensor "w".*missing/],
    ['three offsets', w({ data_offsets: [0, 4, 4] }), 4, /tensor "w".*more than 2/],
    [
      'a fraction in the shape',
      '{"w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}',
      4,
      /tensor "w".*expected an integer/,
    ],
    ['a number past 2^53', w({ shape: [2 ** 53] }), 4, /tensor "w".*past 2\^53/],
    [
      'a huge shape that a 0 would make empty',
      w({ shape: [2 ** 30, 2 ** 30, 0], data_offsets: [0, 0] }),
      0,
      /tensor "w".*overflows/,
    ],
    ['a long shape', w({ shape: Array(65).fill(1) }), 4, /tensor "w".*more than 64/],
    ['offsets backwards', w({ shape: [0], data_offsets: [4, 0] }), 4, /tensor "w".*needs 0 bytes/],
    ['negative offsets', w({ data_offsets: [-4, 0] }), 4, /tensor "w".*negative/],
    ['a hole at the start', w({ data_offsets: [4, 8] }), 8, /4 bytes before tensor "w" belong to no tensor/],
    ['a hole at the end', w(), 12, /last 8 bytes belong to no tensor/],
    ['a hole behind the only empty tensor', w({ shape: [0], data_offsets: [0, 0] }), 1, /last 1 bytes/],
    [
      'an empty tensor inside another',
      { ...w(), z: { dtype: 'U8', shape: [0], data_offsets: [2, 2] } },
      4,
      /tensor "z" overlaps tensor "w"/,
    ],
    ['a shape that is a string', w({ shape: '1' }), 4, /tensor "w".*expected "\["/],
    ['a tensor that is null', { w: null }, 0, /tensor "w".*expected "\{"/],
    ['__proto__ in a path', { 'a/__proto__/b': {} }, 0, /"__proto__" is not allowed/],
    ['__proto__ in a dotted path', { 'a.__proto__.b': {} }, 0, /"__proto__" is not allowed/],
    [
      'half a surrogate pair in a name',
      '{"\\ud800":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}',
      4,
      /not well-formed Unicode/,
    ],
    ['a dtype that we lack', w({ dtype: 'I16', data_offsets: [0, 2] }), 2, /dtype I16 is not supported.*I32/],
    ['a string that does not end', '{"w', 0, /at its end: expected the rest of a string/],
    ['a million brackets', `{"w":${'['.repeat(1e6)}`, 0, /expected "\{"/],
    ['a million digits', `{"w":{"shape":[${'9'.repeat(1e6)}]}}`, 0, /expected an integer/],
    ['a million escapes', `{"${'\\n'.repeat(1e6)}`, 0, /expected the rest of a string/],
    [
      'too much metadata',
      `{"__metadata__":{${Array.from({ length: 100_001 }, (_, i) => `"${i}":""`).join()}}}`,
      0,
      /more than 100,000 entries of metadata/,
    ],
    ['a wrong escape', '{"\\x":{}}', 0, /wrong escape/],
  ])('%s', async (_, header, bytes, message) => {
    expect(await failure(await fileOf(header, bytes))).toMatch(message)
  })

  it('a header that is not UTF-8', async () => {
    const path = await fileOf('{"x":1}')
    const bytes = await readFile(path)
    bytes[10] = 0xff
    await writeFile(path, bytes)
    expect(await failure(path)).toMatch(/not UTF-8/)
  })

  it('bool bytes other than 0 and 1', async () => {
    const path = await fileOf({ w: { dtype: 'BOOL', shape: [1], data_offsets: [0, 1] } }, 1)
    const bytes = await readFile(path)
    bytes[bytes.length - 1] = 2
    await writeFile(path, bytes)
    const reader = await safetensors.open(path)
    await expect(reader.read('w')).rejects.toThrow(/tensor "w" is BOOL/)
    await reader.close()
  })

  it('does not let a name act on the terminal', async () => {
    const message = await failure(await fileOf({ '\u001b[2J\u009b\u202e': null }))
    for (const c of '\u001b\u009b\u202e') expect(message).not.toContain(c)
  })
})

describe('safetensors: what the format allows', () => {
  it('data in another order than the header, and unaligned', async () => {
    const path = await fileOf(
      {
        late: { dtype: 'F32', shape: [1], data_offsets: [3, 7] },
        empty: { dtype: 'I64', shape: [0], data_offsets: [3, 3] },
        early: { dtype: 'U8', shape: [3], data_offsets: [0, 3] },
      },
      7,
    )
    const reader = await safetensors.open(path)
    expect(reader.list().map(i => i.name)).toEqual(['late', 'empty', 'early'])
    expect([...(await reader.read('late')).data]).toEqual([0])
    await reader.close()
  })

  it.each([
    ['null', '"__metadata__": null, '],
    ['empty', '"__metadata__": {}, '],
    ['absent', ''],
  ])('metadata that are %s', async (_, metadata) => {
    const reader = await safetensors.open(
      await fileOf(`{${metadata}"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4),
    )
    expect(reader.list().length).toBe(1)
    expect(reader.metadata.size).toBe(0)
    await reader.close()
  })

  it('float64, which is read as float32', async () => {
    const path = await fileOf({ w: { dtype: 'F64', shape: [2], data_offsets: [0, 16] } })
    await appendFile(path, bytesOfDoubles([0.1, -3e300]))
    const reader = await safetensors.open(path)
    expect(reader.list()).toEqual([{ name: 'w', dtype: 'float32', shape: [2] }])
    expect(reader.notices).toEqual(['1 tensors are stored in float64 and are read in float32'])
    expect([...(await reader.read('w')).data]).toEqual([Math.fround(0.1), -Infinity])
    await reader.close()
  })

  it('white space in and after the header', async () => {
    const reader = await safetensors.open(
      await fileOf(`{ "w" :\n{"dtype":"F32","shape":[ ],"data_offsets":[0 , 4]} }     `, 4),
    )
    expect(reader.list()).toEqual([{ name: 'w', dtype: 'float32', shape: [] }])
    await reader.close()
  })

  it('a file past 4 GiB, with a tensor behind that mark', async () => {
    const big = 5 * 2 ** 30
    const path = await fileOf({
      big: { dtype: 'U8', shape: [5 * 2 ** 20, 2 ** 10], data_offsets: [0, big] },
      tail: { dtype: 'I32', shape: [2], data_offsets: [big, big + 8] },
    })
    const handle = await open(path, 'r+') // sparse: it takes no room on the disk
    const start = (await handle.stat()).size
    await handle.write(new Uint8Array(new Int32Array([7, -7]).buffer), 0, 8, start + big)
    await handle.write(Uint8Array.of(9), 0, 1, start + big - 1)
    await handle.close()
    const reader = await safetensors.open(path)
    expect(reader.list()[0].shape).toEqual([5 * 2 ** 20, 2 ** 10])
    expect((await reader.readPart!('big', 5 * 2 ** 20 - 1)).data.at(-1)).toBe(9)
    expect([...(await reader.read('tail')).data]).toEqual([7, -7])
    await reader.close()
    await rm(path)
  })

  it('random headers are read or refused, never anything else', () => {
    const number = fc.oneof(fc.nat(16), fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53 - 1, 1e300, null, '4'))
    const tensor = fc.record(
      {
        dtype: fc.constantFrom<unknown>('F32', 'BF16', 'BOOL', 'U8', 'F64', 'X', 3),
        shape: fc.array(number, { maxLength: 3 }),
        data_offsets: fc.array(number, { minLength: 1, maxLength: 3 }),
      },
      { requiredKeys: [] },
    )
    return fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string(), fc.oneof(tensor, fc.jsonValue())),
        fc.nat(40),
        async (header, bytes) => {
          const path = await fileOf(header, bytes)
          try {
            const reader = await safetensors.open(path)
            await readTensors(reader).finally(() => reader.close())
          } catch (error) {
            expect(error).toBeInstanceOf(FileError)
          } finally {
            await rm(path)
          }
        },
      ),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 500) },
    )
  })
})

describe('safetensors: what is written', () => {
  it('is the format byte for byte: aligned, padded, wide dtypes first', async () => {
    const path = join(scratch, 'bytes.safetensors')
    await safetensors.write(
      path,
      sourceOf([
        ['b', hostFrom('uint8', [1], [9])],
        ['a', hostFrom('int32', [1], [1])],
      ]),
      { metadata: { format: 'pt' } },
    )
    const bytes = await readFile(path)
    const length = Number(bytes.readBigUInt64LE())
    expect(length % 8).toBe(0)
    expect(
      bytes
        .subarray(8, 8 + length)
        .toString()
        .trimEnd(),
    ).toBe(
      '{"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]},"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}',
    )
    expect([...bytes.subarray(8 + length)]).toEqual([1, 0, 0, 0, 9])
  })

  it('refuses what it could not read', async () => {
    const path = join(scratch, 'refused.safetensors')
    const tensor = hostFrom('float32', [1], [1])
    for (const name of ['__metadata__', '__proto__', 'a/__proto__', '\ud800']) {
      await expect(safetensors.write(path, sourceOf([[name, tensor]]))).rejects.toThrow(/cannot be written/)
    }
    await expect(
      safetensors.write(path, sourceOf([['w', { dtype: 'bool', shape: [1], data: new Uint8Array([2]) }]])),
    ).rejects.toThrow(/"w" is bool/)
    await expect(
      safetensors.write(path, sourceOf([['w', { dtype: 'int8', shape: [2], data: new Int8Array(1) }]])),
    ).rejects.toThrow(/"w".*has 1 bytes/)
    await expect(
      safetensors.write(path, sourceOf([['w', { dtype: 'int8', shape: [-1], data: new Int8Array(1) }]])),
    ).rejects.toThrow(/not the shape/)
    expect(await readdir(scratch)).not.toContain('refused.safetensors')
  })

  it('does not put a file where a folder is', async () => {
    await expect(safetensors.write(scratch, sourceOf([]), { replace: true })).rejects.toThrow(/this is a folder/)
  })
})
