import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FileError } from '../../base/errors.js'
import { hostFrom, sizeOf, stridesOf, toNumbers } from '../../base/host-tensor.js'
import type { Json } from '../json.js'
import type { MsgpackMap, MsgpackValue } from './msgpack.js'
import type { ZarrLeaf } from './state-tree.js'
import { gridOf, readZarr } from './zarr.js'

let scratch: string
let count = 0
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-zarr-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const zarray = {
  chunks: [2, 3],
  compressor: { id: 'gzip', level: 1 },
  dtype: '<f4',
  fill_value: null,
  filters: null,
  order: 'C',
  shape: [4, 5],
  zarr_format: 2,
}
const inMsgpack: MsgpackMap = new Map<string, MsgpackValue>([
  ['chunks', [2, 3]],
  ['compressor', new Map([['id', 'gzip']])],
  ['shape', [4, 5]],
])
const leafOf = (shape: readonly number[]): ZarrLeaf => ({
  name: 'target/w',
  dtype: 'float32',
  shape,
  folder: 'w',
  metadata: inMsgpack,
})

/** A checkpoint folder with these files in `w`. */
async function folderOf(files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const checkpoint = join(scratch, String(count++))
  await mkdir(join(checkpoint, 'w'), { recursive: true })
  for (const [name, content] of Object.entries(files)) await writeFile(join(checkpoint, 'w', name), content)
  return checkpoint
}

const floats = (values: readonly number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer)

/** What a writer makes of element i being i: each chunk's elements, 99 past the array's edge. */
function* chunksOf(shape: readonly number[], chunks: readonly number[]): Generator<[name: string, values: number[]]> {
  const strides = stridesOf(shape)
  for (const index of gridOf({ grid: shape.map((d, i) => Math.ceil(d / chunks[i])) })) {
    const inside = [...gridOf({ grid: chunks })].map(at => at.map((a, d) => index[d] * chunks[d] + a))
    yield [
      index.join('.') || '0',
      inside.map(at => (at.every((a, d) => a < shape[d]) ? at.reduce((sum, a, d) => sum + a * strides[d], 0) : 99)),
    ]
  }
}

/** The files of `zarray`'s array, gzip. */
const goodFiles = (): Record<string, Uint8Array | string> => ({
  '.zarray': JSON.stringify(zarray),
  ...Object.fromEntries(Array.from(chunksOf([4, 5], [2, 3]), ([name, values]) => [name, gzipSync(floats(values))])),
})

async function failure(files: Readonly<Record<string, Uint8Array | string>>, leaf = leafOf([4, 5])): Promise<string> {
  const checkpoint = await folderOf(files)
  const error: unknown = await readZarr(checkpoint, leaf).then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(FileError)
  const { message } = error as FileError
  expect(message.startsWith(join(checkpoint, 'w'))).toBe(true)
  expect(message).toContain('"target/w"')
  return message.slice(join(checkpoint, 'w').length)
}

describe('zarr arrays', () => {
  it('are put together from chunks of any shape (random)', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 7 })), { maxLength: 4 }),
        fc.boolean(),
        async (axes, packed) => {
          const shape = axes.map(([d]) => d)
          const chunks = axes.map(([, c]) => c)
          const files = Object.fromEntries(
            Array.from(chunksOf(shape, chunks), ([name, values]) => [
              name,
              packed ? gzipSync(floats(values)) : floats(values),
            ]),
          )
          const text = JSON.stringify({ ...zarray, shape, chunks, compressor: packed ? { id: 'gzip' } : null })
          const tensor = await readZarr(await folderOf({ ...files, '.zarray': text }), leafOf(shape))
          expect(tensor).toEqual(
            hostFrom(
              'float32',
              shape,
              Array.from({ length: sizeOf(shape) }, (_, i) => i),
            ),
          )
        },
      ),
      { numRuns: 200 },
    ))

  it('need no .zarray', async () => {
    const { '.zarray': _, ...files } = goodFiles()
    expect(toNumbers(await readZarr(await folderOf(files), leafOf([4, 5])))).toEqual(
      Array.from({ length: 20 }, (__, i) => i),
    )
  })

  it.each<[Json, number]>([
    [1.5, 1.5],
    [0, 0],
    ['NaN', NaN],
    ['-Infinity', -Infinity],
  ])('have the fill_value %s where a chunk is not stored', async (fill, value) => {
    const { '1.1': _, ...files } = goodFiles()
    const values = toNumbers(
      await readZarr(
        await folderOf({ ...files, '.zarray': JSON.stringify({ ...zarray, fill_value: fill }) }),
        leafOf([4, 5]),
      ),
    )
    expect(values).toEqual(Array.from({ length: 20 }, (__, i) => (i >= 10 && i % 5 >= 3 ? value : i)))
  })

  it('may be empty', async () => {
    const text = JSON.stringify({ ...zarray, shape: [0, 5], chunks: [1, 5] })
    expect(await readZarr(await folderOf({ '.zarray': text }), leafOf([0, 5]))).toEqual(hostFrom('float32', [0, 5], []))
  })
})

describe('broken and malicious zarr arrays', () => {
  it.each<[string, Record<string, Json>, RegExp]>([
    ['of another shape', { shape: [5, 4] }, /shape is \[5,4\].*checkpoint says \[4,5\]/],
    ['of another dtype', { dtype: '<i4' }, /dtype is "<i4"/],
    ['big endian', { dtype: '>f4' }, /big endian/],
    ['of structures', { dtype: [['a', '<f4']] }, /dtype/],
    ['column by column', { order: 'F' }, /row by row/],
    ['with filters', { filters: [{ id: 'delta' }] }, /filters/],
    ['in nested folders', { dimension_separator: '/' }, /dimension_separator/],
    ['of zarr 3', { zarr_format: 3 }, /zarr_format/],
    ['packed otherwise', { compressor: { id: 'blosc' } }, /compressor is "blosc"/],
    ['with chunks of another rank', { chunks: [2] }, /cannot be cut into chunks of \[2\]/],
    ['with empty chunks', { chunks: [0, 3] }, /cannot be cut into chunks of \[0,3\]/],
    ['with negative chunks', { chunks: [-2, 3] }, /chunks/],
    ['with chunks of half an element', { chunks: [0.5, 3] }, /chunks/],
    ['with chunks that overflow', { chunks: [2 ** 40, 2 ** 40] }, /cannot be cut into chunks/],
    ['with larger chunks', { chunks: [4, 3] }, /0\.0: .*has 24 bytes, and a chunk of float32\[4,3\] has 48/],
    ['with smaller chunks', { chunks: [2, 2] }, /0\.2|0\.0: .*more than the 16 bytes/],
    ['with one key missing', { compressor: undefined as unknown as Json }, /compressor/],
  ])('%s', async (_, changes, message) => {
    expect(await failure({ ...goodFiles(), '.zarray': JSON.stringify({ ...zarray, ...changes }) })).toMatch(message)
  })

  it.each<[string, string, RegExp]>([
    ['no JSON', '{"chunks": [', /\.zarray: .*not JSON/],
    ['a key twice', JSON.stringify(zarray).replace('{', '{"shape":[1],'), /"shape".*twice/],
    ['nested without end', '['.repeat(100_000), /nested/],
    ['nothing', '', /not JSON/],
  ])('whose .zarray is %s', async (_, text, message) => {
    expect(await failure({ ...goodFiles(), '.zarray': text })).toMatch(message)
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['empty', Buffer.alloc(0), /0\.1: .*not what gzip writes/],
    ['no gzip', Buffer.from('hello, world'), /0\.1: .*not what gzip writes/],
    ['cut off', gzipSync(floats([1, 2, 3, 4, 5, 6])).subarray(0, 20), /0\.1: .*not what gzip writes/],
    [
      'of a wrong checksum',
      Buffer.from(gzipSync(floats([1, 2, 3, 4, 5, 6])).map((b, i, all) => (i === all.length - 8 ? b ^ 1 : b))),
      /0\.1: .*not what gzip writes/,
    ],
    ['too short', gzipSync(floats([1, 2, 3])), /0\.1: .*has 12 bytes.*has 24/],
    ['too long', gzipSync(floats([1, 2, 3, 4, 5, 6, 7])), /0\.1: .*more than the 24 bytes/],
  ])('with a chunk that is %s', async (_, chunk, message) => {
    expect(await failure({ ...goodFiles(), '0.1': chunk })).toMatch(message)
  })

  it('with a chunk that is a folder', async () => {
    const checkpoint = await folderOf({ ...goodFiles(), '0.1': '' })
    await rm(join(checkpoint, 'w', '0.1'))
    await mkdir(join(checkpoint, 'w', '0.1'))
    await expect(readZarr(checkpoint, leafOf([4, 5]))).rejects.toThrow(/0\.1: this is a folder/)
  })

  it('with a chunk missing, and nothing that stands for it', async () => {
    const { '0.1': _, ...files } = goodFiles()
    expect(await failure(files)).toMatch(/1 of 4 chunks are missing \(0\.1\)/)
    const { '.zarray': __, ...bare } = files
    expect(await failure(bare)).toMatch(/1 of 4 chunks are missing \(0\.1\)/)
  })

  it('that claim terabytes, or millions of chunks, take neither memory nor time', async () => {
    const before = process.memoryUsage().rss
    for (const fill of [null, 0]) {
      const huge = { ...zarray, shape: [2 ** 40], chunks: [2 ** 38], fill_value: fill }
      expect(await failure({ '.zarray': JSON.stringify(huge) }, leafOf([2 ** 40]))).toMatch(
        /4 of 4 chunks are missing|more than this machine/,
      )
      const many = { ...zarray, shape: [2 ** 31], chunks: [1], fill_value: fill }
      expect(await failure({ '.zarray': JSON.stringify(many) }, leafOf([2 ** 31]))).toMatch(
        /cut into 2,147,483,648 chunks/,
      )
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(50e6)
  })

  it('that are bombs are left as soon as they pass their size', async () => {
    const bomb = gzipSync(Buffer.alloc(300e6))
    const before = process.memoryUsage().rss
    const started = performance.now()
    expect(await failure({ ...goodFiles(), '0.1': bomb })).toMatch(/0\.1: .*unpacks to more than the 24 bytes/)
    const took = performance.now() - started
    expect(process.memoryUsage().rss - before).toBeLessThan(50e6)
    const whole = performance.now()
    gunzipSync(bomb)
    expect(took).toBeLessThan(performance.now() - whole)
  })
})

describe('zstd chunks', () => {
  const text = JSON.stringify({ ...zarray, shape: [100], chunks: [100], compressor: { id: 'zstd', level: 1 } })
  /** Made by the zstd command line, 1.5.4: 400 zero bytes; and the same without their number in its header. */
  const zeros = Buffer.from('28b52ffd6490004d000010000001008b2ac00252520742', 'hex')
  const unsized = Buffer.from('28b52ffd04584d000010000001008b2ac00252520742', 'hex')
  /** A frame of one block that is not compressed, or of one byte many times. */
  const frame = (bytes: number, block: Uint8Array): Uint8Array => {
    const size = Buffer.alloc(4)
    size.writeUInt32LE(bytes)
    return Buffer.concat([Buffer.from('28b52ffda0', 'hex'), size, block])
  }
  const rawBlock = (data: Uint8Array): Uint8Array =>
    Buffer.concat([Buffer.from([1 | ((data.length << 3) & 0xff), data.length >> 5, 0]), data])

  it('are unpacked', async () => {
    for (const chunk of [zeros, unsized])
      expect(toNumbers(await readZarr(await folderOf({ '.zarray': text, 0: chunk }), leafOf([100])))).toEqual(
        new Array(100).fill(0),
      )
    const values = Array.from({ length: 100 }, (_, i) => i)
    expect(
      toNumbers(
        await readZarr(await folderOf({ '.zarray': text, 0: frame(400, rawBlock(floats(values))) }), leafOf([100])),
      ),
    ).toEqual(values)
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['empty', Buffer.alloc(0), /not what zstd writes/],
    ['no zstd', Buffer.from('hello, world'), /not what zstd writes/],
    ['cut off', frame(400, rawBlock(floats([1, 2, 3]))).subarray(0, 15), /not what zstd writes/],
    ['too short', frame(12, rawBlock(floats([1, 2, 3]))), /has 12 bytes.*has 400/],
    ['shorter than it says', frame(400, rawBlock(floats([1, 2, 3]))), /not what zstd writes/],
    [
      'too long',
      frame(404, rawBlock(floats(new Array<number>(101).fill(1)))),
      /not what zstd writes, or unpacks to more than the 400 bytes/,
    ],
    [
      'a bomb',
      frame(0xffffffff, Buffer.from([0x03, 0x00, 0x10, 0x00])),
      /not what zstd writes, or unpacks to more than the 400 bytes/,
    ],
  ])('that are %s', async (_, chunk, message) => {
    const before = process.memoryUsage().rss
    expect(await failure({ '.zarray': text, 0: chunk }, leafOf([100]))).toMatch(message)
    expect(process.memoryUsage().rss - before).toBeLessThan(50e6)
  })

  it('of gigabytes are refused before they are read', async () => {
    const big = JSON.stringify({ ...zarray, shape: [4], chunks: [2 ** 29], compressor: { id: 'zstd' } })
    expect(await failure({ '.zarray': big, 0: zeros }, leafOf([4]))).toMatch(/0: .*at most 1\.00 GiB/)
  })
})
