import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FileError } from '../../base/errors.js'
import { hostFrom } from '../../base/host-tensor.js'
import { readTensors } from '../format.js'
import { encodeMsgpack } from './msgpack-write.js'
import type { Encodable } from './msgpack-write.js'
import { t5x } from './t5x.js'

let scratch: string
let count = 0
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-msgpack-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

/** Bytes as hexadecimal digits, texts in quotes as msgpack's short texts: `81 'a' c0`. */
const bytes = (notation: string): Buffer =>
  Buffer.concat(
    notation.split(/('[^']*')/).map(part => {
      if (!part.startsWith("'")) return Buffer.from(part.replaceAll(/\s/g, ''), 'hex')
      return Buffer.concat([Buffer.from([0xa0 + part.length - 2]), Buffer.from(part.slice(1, -1))])
    }),
  )

async function fileOf(content: Uint8Array): Promise<string> {
  const path = join(scratch, `checkpoint_${count++}`)
  await writeFile(path, content)
  return path
}

async function read(
  content: Uint8Array,
): Promise<{ tensors: Record<string, number[]>; metadata: Record<string, string> }> {
  const reader = await t5x.open(await fileOf(content))
  const tensors = await readTensors(reader).finally(() => reader.close())
  return {
    tensors: Object.fromEntries(
      Array.from(tensors, ([name, { data }]) => [name, Array.from<number | bigint, number>(data, Number)]),
    ),
    metadata: Object.fromEntries(reader.metadata),
  }
}

async function failure(content: Uint8Array): Promise<string> {
  const path = await fileOf(content)
  const error: unknown = await t5x.open(path).then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(FileError)
  expect((error as FileError).message.startsWith(`${path}: `)).toBe(true)
  return (error as FileError).message.slice(path.length + 2)
}

const map = (entries: Record<string, Encodable>): ReadonlyMap<string, Encodable> => new Map(Object.entries(entries))
/** A file whose state holds this. */
const state = (entries: Record<string, Encodable>, version = 3): Uint8Array =>
  encodeMsgpack('test', map({ version, optimizer: map(entries) }))
/** int32 [1, 2], an array as flax writes it. */
const twoInts = "c7 13 01 93 91 02 'int32' c4 08 01000000 02000000"

describe('structures', () => {
  it('hold arrays and numbers of NumPy, nested', async () => {
    const { tensors } = await read(
      bytes(`82 'version' 03 'optimizer' 82 'a' 81 'b' ${twoInts} 'c' c7 0e 03 93 90 'int32' c4 04 07000000`),
    )
    expect(tensors).toEqual({ 'a/b': [1, 2], c: [7] })
  })

  it('may spell lengths out', async () => {
    const { tensors } = await read(
      bytes(
        `df 00000002 da 0007 76657273696f6e cf 0000000000000003 db 00000009 6f7074696d697a6572 de 0001 d9 01 61 c9 00000015 01 93 dd 00000001 cd 0002 'int8' c6 00000002 05fb`,
      ),
    )
    expect(tensors).toEqual({ a: [5, -5] })
  })

  it("may be flax's own, without a version", async () => {
    expect((await read(bytes(`81 'target' 81 'w' ${twoInts}`))).tensors).toEqual({ 'target/w': [1, 2] })
  })

  it('may hold arrays in pieces', async () => {
    const pieces = map({ 0: { tensor: hostFrom('int32', [3], [1, 2, 3]) }, 1: { tensor: hostFrom('int32', [1], [4]) } })
    const chunked = bytes(
      `83 b9 ${Buffer.from('__msgpack_chunked_array__').toString('hex')} c3 'shape' 82 '0' 02 '1' 02 'chunks'`,
    )
    const content = Buffer.concat([bytes("82 'version' 03 'optimizer' 81 'w'"), chunked, encodeMsgpack('test', pieces)])
    expect((await read(content)).tensors).toEqual({ w: [1, 2, 3, 4] })
    expect(
      await failure(
        Buffer.concat([
          bytes("82 'version' 03 'optimizer' 81 'w'"),
          chunked,
          encodeMsgpack('test', map({ 0: pieces.get('0')!, 2: pieces.get('1')! })),
        ]),
      ),
    ).toContain('"w"')
  })

  it('keep what is no array as text', async () => {
    const { tensors, metadata } = await read(
      bytes(
        `83 'version' 03 'metadata' 81 'by' 'me' 'optimizer' 84 'none' c0 'empty' 80 'epoch' ff 'state' 82 'rate' ca 3e800000 'flag' c2`,
      ),
    )
    expect(tensors).toEqual({})
    expect(metadata).toEqual({ by: 'me', epoch: '-1', 'state/rate': '0.25', 'state/flag': 'false' })
  })

  it('are read without their arrays: those may be larger than memory', async () => {
    const path = await fileOf(
      bytes("82 'version' 03 'optimizer' 82 'big' c9 ffff0012 01 93 91 ce ffff0000 'uint8' c6 ffff0000"),
    )
    const file = await open(path, 'r+')
    const after = bytes(`'last' ${twoInts}`)
    await file.write(after, 0, after.length, (await file.stat()).size + 0xffff0000) // a hole of 4 GB, which takes no room
    await file.close()
    const before = process.memoryUsage().rss
    const reader = await t5x.open(path)
    expect(reader.list()).toEqual([
      { name: 'big', dtype: 'uint8', shape: [0xffff0000] },
      { name: 'last', dtype: 'int32', shape: [2] },
    ])
    expect([...(await reader.read('last')).data]).toEqual([1, 2])
    await reader.close()
    expect(process.memoryUsage().rss - before).toBeLessThan(50e6)
  })
})

describe('broken and malicious structures', () => {
  const optimizer = "82 'version' 03 'optimizer' "
  it.each<[string, string, RegExp]>([
    ['nothing', '', /empty/],
    ['no map', '93 01 02 03', /no T5X checkpoint/],
    ['a key twice', `${optimizer} 82 'w' c0 'w' c0`, /"optimizer".*"w" appears twice/],
    ['a path twice', `${optimizer} 82 'a' 81 'b' ${twoInts} 'a/b' ${twoInts}`, /two tensors "a\/b"/],
    ['a key that is a number', `${optimizer} 81 07 c0`, /key is not text/],
    ['a key __proto__', `${optimizer} 81 '__proto__' c0`, /__proto__/],
    ['a key that is no UTF-8', `${optimizer} 81 a1ff c0`, /UTF-8/],
    ['too little', `${optimizer} 82 'w' c0`, /cut off/],
    ['too much', `${optimizer} 80 c0`, /1 bytes follow its end/],
    ['a map of four billion entries', `${optimizer} df ffffffff`, /cut off/],
    ['a list of four billion', `${optimizer} 81 'w' dd ffffffff`, /"optimizer\/w".*list of 4,294,967,295/],
    ['a text of 4 GB', `${optimizer} 81 'w' db ffffffff 61`, /"optimizer\/w".*of text/],
    ['an array past the end', `${optimizer} 81 'w' c9 7fffffff 01 93`, /"optimizer\/w".*cut off/],
    [
      'an array larger than its extension',
      `${optimizer} 81 'w' c7 13 01 93 91 02 'int32' c4 09 01000000 02000000 00`,
      /"optimizer\/w".*not \[shape, dtype, bytes\]/,
    ],
    [
      'an array of another size than its shape',
      `${optimizer} 81 'w' c7 13 01 93 91 03 'int32' c4 08 01000000 02000000`,
      /"w".*int32\[3\].*8 bytes/,
    ],
    [
      'an array with an overflowing shape',
      `${optimizer} 81 'w' c7 18 01 93 92 ce ffffffff ce ffffffff 'int8' c4 08 0000000000000000`,
      /not \[shape, dtype, bytes\]|bytes that it has/,
    ],
    [
      'an array with a negative shape',
      `${optimizer} 81 'w' c7 13 01 93 91 ff 'int32' c4 08 01000000 02000000`,
      /no.*a size|not a size/,
    ],
    [
      'a dtype of Python objects',
      `${optimizer} 81 'w' c7 14 01 93 91 01 'object' c4 08 0000000000000000`,
      /"w".*dtype "object"/,
    ],
    [
      'a dtype that every object has',
      `${optimizer} 81 'w' c7 19 01 93 91 01 'constructor' c4 08 0000000000000000`,
      /"w".*dtype "constructor"/,
    ],
    ['a complex number', `${optimizer} 81 'w' c7 01 02 00`, /"optimizer\/w".*complex/],
    ['a foreign extension', `${optimizer} 81 'w' d6 ff 00000000`, /extension -1/],
    ['raw bytes', `${optimizer} 81 'w' c4 01 00`, /0xc4/],
    ['a code that msgpack never uses', `${optimizer} 81 'w' c1`, /0xc1/],
    ['no optimizer', "81 'version' 03", /"optimizer"/],
    ['a newer version', "82 'version' 04 'optimizer' 80", /version 4/],
    ['an older version', "82 'version' 01 'optimizer' 80", /version 1/],
    [
      'a place holder of Orbax',
      `82 'version' 03 'optimizer' 81 'w' d9 0f ${Buffer.from('PLACEHOLDER://w').toString('hex')}`,
      /Orbax/,
    ],
  ])('%s', async (_, notation, message) => {
    expect(await failure(bytes(notation))).toMatch(message)
  })

  it('a tower of maps', async () => {
    expect(await failure(Buffer.alloc(3e6, bytes("81 'a'")))).toContain('nested more than 100 deep')
  })

  it('millions of tiny values', async () => {
    const entries = Buffer.alloc(5 * 600_000)
    for (let i = 0; i < 600_000; i++) entries.set([0xa3, (i >> 14) & 127, (i >> 7) & 127, i & 127, 0xc0], 5 * i)
    expect(await failure(Buffer.concat([bytes(`${optimizer} df 000927c0`), entries]))).toContain(
      'more than 1,000,000 values',
    )
  })

  it('a great deal of text', async () => {
    const entry = (i: number): Buffer =>
      Buffer.concat([
        Buffer.from([0xa3, 97, 97 + Math.floor(i / 26), 97 + (i % 26)]),
        bytes('db 00100000'),
        Buffer.alloc(2 ** 20, 'x'),
      ])
    expect(
      await failure(Buffer.concat([bytes(`${optimizer} de 0041`), ...Array.from({ length: 65 }, (_, i) => entry(i))])),
    ).toMatch(/"optimizer\/a..".*of text/)
  })
})

describe('leaves in folders', () => {
  const spec = (
    changes: Record<string, Encodable> = {},
    store: Record<string, Encodable> = {},
    metadata: Record<string, Encodable> = {},
  ): Uint8Array =>
    state({
      w: map({
        driver: 'zarr',
        dtype: 'float32',
        kvstore: map({ driver: 'file', path: 'w/', ...store }),
        metadata: map({ chunks: [2], compressor: map({ id: 'gzip' }), shape: [2], ...metadata }),
        ...changes,
      }),
    })

  it.each<[string, Uint8Array, RegExp]>([
    ['an absolute path', spec({}, { path: '/etc/' }), /"w".*"\/etc\/".*not opened/],
    ['the folder above', spec({}, { path: '..' }), /"w".*"\.\.".*not opened/],
    ['a path that goes up', spec({}, { path: '../../w/' }), /"w".*not opened/],
    ['a path below', spec({}, { path: 'a/w/' }), /"w".*not opened/],
    ['this folder itself', spec({}, { path: './' }), /"w".*not opened/],
    ['no path', spec({}, { path: 7 }), /"w".*not opened/],
    ['a path of Windows', spec({}, { path: 'C:\\w' }), /"w".*not opened/],
    ['a store of the network', spec({}, { driver: 'http' }), /"w".*"http"/],
    ['OCDBT', spec({}, { driver: 'ocdbt' }), /"w".*OCDBT/],
    ['another driver', spec({ driver: 'zarr3' }), /"w".*"zarr3"/],
    ['no description', spec({ metadata: 'none' }), /"w".*"metadata"/],
    ['no shape', spec({}, {}, { shape: 'none' }), /"w".*no shape/],
    ['a shape that overflows', spec({}, {}, { shape: [2 ** 31, 2 ** 31] }), /"w".*overflows/],
    ['an unknown dtype', spec({ dtype: 'float64' }), /"w".*"float64"/],
  ])('%s', async (_, content, message) => {
    expect(await failure(content)).toMatch(message)
  })

  it('stand beside the file, whatever store their writer had', async () => {
    for (const driver of ['file', 'gfile', 'gcs']) {
      const path = await fileOf(spec({}, { driver, bucket: 'somewhere' }))
      const reader = await t5x.open(path)
      expect(reader.list()).toEqual([{ name: 'w', dtype: 'float32', shape: [2] }])
      await expect(reader.read('w')).rejects.toThrow(
        `${join(scratch, 'w')}: there is no such file or folder: tensor "w" should be here`,
      )
      await reader.close()
    }
  })
})
