import { cp, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allocate, dtypes } from '../../src/base/dtypes.js'
import type { DType } from '../../src/base/dtypes.js'
import { FileError, SwitchyardError } from '../../src/base/errors.js'
import { bytesOf, hostFrom, partOf, sizeOf } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import { readCheckpoint, sourceOf } from '../../src/checkpoint/format.js'
import type { CheckpointFormat, TensorEntry } from '../../src/checkpoint/format.js'

export interface CheckpointConformance {
  format: CheckpointFormat
  /** The name of a checkpoint in a temporary folder: `model.safetensors`, `step-0`. */
  pathName: string
  /** A file that holds tensor data, below the path ('' if the path is the file itself), of the files that are there. */
  dataFile: string | ((names: string[]) => string)
  /** For a format that Switchyard only reads: how a test makes one. */
  make?: (path: string, tensors: readonly (readonly [string, HostTensor])[]) => Promise<void>
  /** dtypes that the format cannot hold. */
  without?: readonly DType[]
  /** Whether the format can hold a tensor of this name. Default: it can hold any name. */
  holds?: (name: string) => boolean
  /** Tells several settings of one format apart in test names. */
  title?: string
}

/** Random inputs of each test; `npm run fuzz` sets more. */
export const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 200)

const weirdNames = [
  '',
  ' ',
  '0',
  '-1',
  '10',
  '2',
  'a/b',
  'a.b',
  'a\\b',
  '../../etc/passwd',
  '/absolute',
  'with "quotes"',
  'tab\tnewline\nnul\u0000',
  '\u001b[31m',
  'Ünïcödé',
  '日本語',
  '😀',
  'constructor',
  'toString',
  'hasOwnProperty',
  'prototype',
  'metadata',
  'x'.repeat(1000),
]

/** The files in a folder and in those below it. */
export const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)))

/** Every bit pattern of a byte, in every position of a `dtype`: NaNs with payloads, infinities, -0, subnormals. */
function everyBit(dtype: DType, shape: readonly number[], seed = 1): HostTensor {
  const data = allocate(dtype, sizeOf(shape))
  const bytes = new Uint8Array(data.buffer)
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = dtype === 'bool' ? ((i * seed) % 3) & 1 : (i * 167 * seed + (i >> 8)) & 0xff
  return { dtype, shape, data }
}

/** The tests that every CheckpointFormat must pass. */
export function checkpointConformance({
  format,
  pathName,
  dataFile,
  make,
  without = [],
  holds = () => true,
  title = format.name,
}: CheckpointConformance): void {
  const all = (Object.keys(dtypes) as DType[]).filter(d => !without.includes(d))

  describe(`checkpoint format ${title}`, () => {
    let scratch: string
    let count = 0
    const fresh = (): string => join(scratch, String(count++), pathName)
    beforeAll(async () => {
      scratch = await mkdtemp(join(tmpdir(), 'switchyard-conformance-'))
    })
    afterAll(() => rm(scratch, { recursive: true, force: true }))

    async function write(tensors: Iterable<readonly [string, HostTensor]>): Promise<string> {
      const path = fresh()
      await (make ? make(path, [...tensors]) : format.write(path, sourceOf(tensors)))
      return path
    }

    async function dataFileOf(path: string): Promise<string> {
      return join(path, typeof dataFile === 'string' ? dataFile : dataFile(await readdir(path)))
    }

    const readAll = (path: string): Promise<Map<string, HostTensor>> => readCheckpoint(format, path)

    async function expectRoundTrip(tensors: ReadonlyMap<string, HostTensor>): Promise<void> {
      const back = await readAll(await write(tensors))
      expect([...back.keys()]).toEqual([...tensors.keys()])
      for (const [name, tensor] of tensors) {
        const { dtype, shape, data } = back.get(name)!
        expect({ name, dtype, shape, kind: data.constructor }).toEqual({
          name,
          dtype: tensor.dtype,
          shape: tensor.shape,
          kind: tensor.data.constructor,
        })
        expect(Buffer.compare(bytesOf(back.get(name)!), bytesOf(tensor))).toBe(0)
      }
    }

    it.each(all)('gives %s back bit for bit', async dtype => {
      await expectRoundTrip(
        new Map([
          ['a', everyBit(dtype, [16, 33])],
          ['b', everyBit(dtype, [7], 5)],
        ]),
      )
    })

    it('mixes dtypes, scalars and empty tensors, and keeps their order', async () => {
      const tensors = new Map<string, HostTensor>()
      for (const dtype of [...all].reverse()) {
        tensors.set(`${dtype} scalar`, everyBit(dtype, [], 3))
        tensors.set(`${dtype} empty`, everyBit(dtype, [0]))
        tensors.set(`${dtype} odd`, everyBit(dtype, [3, 1, 5]))
        tensors.set(`${dtype} flat`, everyBit(dtype, [4, 0, 2]))
      }
      await expectRoundTrip(tensors)
    })

    if (!make)
      it('takes tensors in parts, also of several tensors in turn', async () => {
        const [a, b, c] = [everyBit('float32', [5, 3, 7]), everyBit('int32', [5, 2], 3), everyBit('float32', [4, 4], 5)]
        async function* entries(): AsyncGenerator<TensorEntry> {
          for (let i = 0; i < 5; i++) {
            yield ['a', partOf(a, i), i]
            yield ['b', partOf(b, i), i]
            if (i === 2) yield ['c', c]
          }
        }
        const infos = sourceOf([
          ['a', a],
          ['b', b],
          ['c', c],
        ]).infos
        const path = fresh()
        await format.write(path, { infos, entries: entries() })
        const back = await readAll(path)
        for (const [name, tensor] of Object.entries({ a, b, c })) expect(back.get(name)).toEqual(tensor)
      })

    if (!make)
      it.each<[string, TensorEntry[], RegExp]>([
        ['a missing part', [['a', everyBit('int32', [2]), 0]], /did not deliver all tensors; missing: "a"/],
        ['parts out of order', [['a', everyBit('int32', [2]), 1]], /not delivered in order: part 0 was to be next/],
        [
          'a whole tensor after a part',
          [
            ['a', everyBit('int32', [2]), 0],
            ['a', everyBit('int32', [3, 2])],
          ],
          /not delivered in order: part 1 was to be next/,
        ],
        ['a part of another shape', [['a', everyBit('int32', [3, 2]), 0]], /announced as int32\[2\] and delivered as/],
      ])('refuses %s', async (_, entries, message) => {
        const infos = [{ name: 'a', dtype: 'int32' as const, shape: [3, 2] }]
        await expect(format.write(fresh(), { infos, entries })).rejects.toThrow(message)
      })

    it('holds no tensors at all', () => expectRoundTrip(new Map()))

    it('holds only empty tensors', () =>
      expectRoundTrip(
        new Map([
          ['z', everyBit('float32', [0])],
          ['a', everyBit('float32', [2, 0])],
        ]),
      ))

    it('takes any name that it can hold', () =>
      expectRoundTrip(new Map(weirdNames.filter(holds).map((name, i) => [name, hostFrom('float32', [1], [i])]))))

    it('writes a view of a larger memory', () => {
      const memory = new Float32Array(100).map((_, i) => i)
      return expectRoundTrip(new Map([['view', { dtype: 'float32', shape: [2, 3], data: memory.subarray(17, 23) }]]))
    })

    it('gives any tensors back (random)', () =>
      fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(
            fc.tuple(
              fc.string({ unit: 'grapheme' }).filter(s => !s.includes('__') && holds(s)),
              fc.constantFrom(...all),
              fc.array(fc.nat(4), { maxLength: 4 }),
              fc.nat(1000),
            ),
            { selector: ([name]) => name, maxLength: 8 },
          ),
          list =>
            expectRoundTrip(new Map(list.map(([name, dtype, shape, seed]) => [name, everyBit(dtype, shape, seed)]))),
        ),
        { numRuns: 50 },
      ))

    it('lists without reading, and reads one tensor alone, several at once', async () => {
      const reader = await format.open(
        await write([
          ['b', hostFrom('int32', [2], [1, 2])],
          ['a', hostFrom('float32', [], [3])],
        ]),
      )
      expect(reader.list()).toEqual([
        { name: 'b', dtype: 'int32', shape: [2] },
        { name: 'a', dtype: 'float32', shape: [] },
      ])
      const [a, b] = await Promise.all([reader.read('a'), reader.read('b')])
      expect([[...a.data], [...b.data]]).toEqual([[3], [1, 2]])
      await reader.close()
      await reader.close()
      await expect(reader.read('a')).rejects.toThrow(FileError)
    })

    if (make) {
      it('refuses to write, and says what to write instead', async () => {
        const path = fresh()
        const error = await format.write(path, sourceOf([])).then(
          () => undefined,
          (e: unknown) => e,
        )
        expect(error).toBeInstanceOf(SwitchyardError)
        expect(String(error)).toContain(path)
        expect(String(error)).toContain('safetensors')
      })
    } else {
      it('keeps metadata', async () => {
        const path = fresh()
        await format.write(path, sourceOf([]), { metadata: { format: 'pt', text: '"ü"\n' } })
        const reader = await format.open(path)
        expect([...reader.metadata]).toEqual([
          ['format', 'pt'],
          ['text', '"ü"\n'],
        ])
        await reader.close()
      })

      it('takes tensors one at a time, in any order', async () => {
        const path = fresh()
        const infos = [0, 1, 2].map(i => ({ name: String(i), dtype: 'float32' as const, shape: [1] }))
        async function* entries(): AsyncGenerator<[string, HostTensor]> {
          for (const i of [2, 0, 1]) yield [String(i), hostFrom('float32', [1], [i])]
        }
        await format.write(path, { infos, entries: entries() })
        expect([...(await readAll(path))].map(([name, t]) => [name, t.data[0]])).toEqual([
          ['0', 0],
          ['1', 1],
          ['2', 2],
        ])
      })

      it('writes nothing when the tensors are not the announced ones', async () => {
        const infos = [{ name: 'w', dtype: 'float32' as const, shape: [2] }]
        const good = hostFrom('float32', [2], [1, 2])
        const wrong: [RegExp, [string, HostTensor][]][] = [
          [/"w"/, []],
          [/"w"/, [['w', hostFrom('float32', [3], [1, 2, 3])]]],
          [/"w"/, [['w', hostFrom('int32', [2], [1, 2])]]],
          [
            /"w"/,
            [
              ['w', good],
              ['w', good],
            ],
          ],
          [
            /"v"/,
            [
              ['w', good],
              ['v', good],
            ],
          ],
        ]
        for (const [message, entries] of wrong) {
          const path = fresh()
          await expect(format.write(path, { infos, entries })).rejects.toThrow(message)
          await expect(format.write(path, { infos, entries })).rejects.toThrow(SwitchyardError)
          expect(await readdir(join(path, '..'))).toEqual([])
        }
        await expect(format.write(fresh(), { infos: [infos[0], infos[0]], entries: [] })).rejects.toThrow(/"w".*two/)
      })

      it('leaves nothing behind when the source fails', async () => {
        const path = fresh()
        async function* entries(): AsyncGenerator<[string, HostTensor]> {
          yield ['a', hostFrom('float32', [1], [1])]
          throw new Error('the source broke')
        }
        const infos = ['a', 'b'].map(name => ({ name, dtype: 'float32' as const, shape: [1] }))
        await expect(format.write(path, { infos, entries: entries() })).rejects.toThrow('the source broke')
        expect(await readdir(join(path, '..'))).toEqual([])
      })

      it('replaces an existing checkpoint only if told to', async () => {
        const path = await write([['w', hostFrom('float32', [1], [1])]])
        const next = (): ReturnType<typeof sourceOf> => sourceOf([['w', hostFrom('float32', [1], [2])]])
        await expect(format.write(path, next())).rejects.toThrow(FileError)
        expect((await readAll(path)).get('w')!.data[0]).toBe(1)
        await format.write(path, next(), { replace: true })
        expect((await readAll(path)).get('w')!.data[0]).toBe(2)
        expect(await readdir(join(path, '..'))).toEqual([pathName])
      })
    }

    it('names the file and the tensor when asked for an unknown one', async () => {
      const path = await write([['w', hostFrom('float32', [1], [1])]])
      const reader = await format.open(path)
      for (const name of ['v', 'constructor', '__proto__', '']) {
        const error = await reader.read(name).then(
          () => undefined,
          (e: unknown) => e,
        )
        expect(error).toBeInstanceOf(FileError)
        expect(String(error)).toContain(path)
        expect(String(error)).toContain(JSON.stringify(name))
      }
      await reader.close()
    })

    it('detects its own files, broken or not, and no others', async () => {
      const path = await write([['w', hostFrom('float32', [1], [1])]])
      expect(await format.detect(path)).toBe(true)
      await truncate(await dataFileOf(path), 1)
      expect(await format.detect(path)).toBe(true)
      expect(await format.detect(join(scratch, 'nothing'))).toBe(false)
      expect(await format.detect(scratch)).toBe(false)
    })

    it('says that there is nothing at a path', async () => {
      await expect(format.open(join(scratch, 'nothing', pathName))).rejects.toThrow(FileError)
      await expect(format.open(scratch)).rejects.toThrow(FileError)
    })

    it('names the file, cut off at any byte', async () => {
      const path = await write([
        ['first', everyBit('float32', [5])],
        ['last', everyBit('int8', [3])],
      ])
      const file = await dataFileOf(path)
      const whole = await readFile(file)
      for (let length = 0; length < whole.length; length++) {
        await writeFile(file, whole.subarray(0, length))
        const error = await readAll(path).then(
          () => undefined,
          (e: unknown) => e,
        )
        expect(error, `cut off at ${length}`).toBeInstanceOf(FileError)
        expect(String(error)).toContain(file)
      }
    })

    it('names the tensor when the file shrinks after it was opened', async () => {
      const path = await write([
        ['first', everyBit('float32', [5])],
        ['last', everyBit('float32', [500])],
      ])
      const reader = await format.open(path)
      const file = await dataFileOf(path)
      await truncate(file, Math.floor((await stat(file)).size / 2))
      expect((await reader.read('first')).shape).toEqual([5])
      await expect(reader.read('last')).rejects.toThrow(/"last"/)
      await expect(reader.read('last')).rejects.toThrow(FileError)
      await reader.close()
    })

    it(`reads ${fuzzRuns} mutations of a good one, or refuses them with a FileError`, async () => {
      const good = await write([
        ['encoder/w', everyBit('float32', [2, 3])],
        ['b', everyBit('bool', [4])],
        ['s', everyBit('int64', [])],
      ])
      const names = (await stat(good)).isDirectory() ? await filesIn(good) : ['']
      const originals = new Map<string, Buffer>()
      for (const name of names) originals.set(name, await readFile(join(good, name)))
      const path = fresh()
      await cp(good, path, { recursive: true })
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...names),
          fc.array(mutation, { minLength: 1, maxLength: 4 }),
          async (name, mutations) => {
            const mutated = mutations.reduce<Buffer>((bytes, mutate) => mutate(bytes), originals.get(name)!)
            await writeFile(join(path, name), mutated)
            const started = performance.now()
            try {
              for (const tensor of (await readAll(path)).values()) expect(tensor.data.length).toBe(sizeOf(tensor.shape))
            } catch (error) {
              expect(error).toBeInstanceOf(FileError)
              expect((error as FileError).message).toContain(path)
            }
            expect(performance.now() - started).toBeLessThan(5000)
            await writeFile(join(path, name), originals.get(name)!)
          },
        ),
        { numRuns: fuzzRuns },
      )
    })
  })
}

/**
 * A change of a file's bytes. Positions are shares of the length, and half of them fall near the start, where headers
 * are.
 */
const position = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 0.1, noNaN: true }))
const at = (bytes: Buffer, share: number): number => Math.floor(share * bytes.length)
const splice = (bytes: Buffer, start: number, removed: number, added: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, start), added, bytes.subarray(start + removed)])
const tokens = [
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '0',
  '-1',
  '9'.repeat(20),
  '1e9',
  '0.5',
  'null',
  '__proto__',
  '\\u0000',
  '\\',
  '\u00ff',
  '\ud83d\ude00',
  '[['.repeat(300),
]

export const mutation: fc.Arbitrary<(bytes: Buffer) => Buffer> = fc.oneof(
  fc.tuple(position, fc.nat(7)).map(([p, bit]) => (b: Buffer) => {
    const copy = Buffer.from(b)
    if (copy.length > 0) copy[Math.min(at(b, p), b.length - 1)] ^= 1 << bit
    return copy
  }),
  fc.tuple(position, fc.uint8Array({ maxLength: 9 })).map(
    ([p, bytes]) =>
      (b: Buffer) =>
        splice(b, at(b, p), bytes.length, bytes),
  ),
  fc.tuple(position, fc.constantFrom(...tokens), fc.nat(3)).map(
    ([p, token, removed]) =>
      (b: Buffer) =>
        splice(b, at(b, p), removed, Buffer.from(token)),
  ),
  fc.tuple(position, position).map(
    ([p, q]) =>
      (b: Buffer) =>
        splice(b, at(b, p), Math.min(at(b, q), 40), new Uint8Array()),
  ),
  fc.tuple(position, position, fc.nat(60)).map(
    ([from, to, n]) =>
      (b: Buffer) =>
        splice(b, at(b, to), 0, b.subarray(at(b, from), at(b, from) + n)),
  ),
  position.map(p => (b: Buffer) => b.subarray(0, at(b, p))),
)
