import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fuzzRuns, mutation } from '../../../test/conformance/checkpoint.js'
import {
  p,
  stateDict,
  storageNames,
  tensorPickle,
  torchEntries,
  writeZip,
} from '../../../test/conformance/torch-file.js'
import type { Entry, View } from '../../../test/conformance/torch-file.js'
import { FileError } from '../../base/errors.js'
import { bytesOf, hostFrom, sizeOf, stridesOf, toNumbers } from '../../base/host-tensor.js'
import { readTensors } from '../format.js'
import { detectFormat } from '../../../test/conformance/formats.js'
import { readStateDict } from './state-dict.js'
import { torch } from './torch.js'

let scratch: string
let count = 0
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-torch-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

async function fileOf(pickle: Uint8Array, storages: readonly Entry[], byteOrder?: string): Promise<string> {
  const path = join(scratch, `${count++}.bin`)
  await writeZip(path, torchEntries(pickle, storages, byteOrder))
  return path
}

async function readNumbers(path: string): Promise<Record<string, number[]>> {
  const reader = await torch.open(path)
  const tensors = await readTensors(reader).finally(() => reader.close())
  return Object.fromEntries(Array.from(tensors, ([name, tensor]) => [name, toNumbers(tensor)]))
}

async function failure(path: string): Promise<string> {
  const error: unknown = await readNumbers(path).then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(FileError)
  expect((error as FileError).message.startsWith(path)).toBe(true)
  return (error as FileError).message.slice(path.length + 2)
}

const floats = (n: number): Entry => ({
  name: '0',
  data: bytesOf(
    hostFrom(
      'float32',
      [n],
      Array.from({ length: n }, (_, i) => i),
    ),
  ),
})
/** A tensor of the storage `floats(12)`. */
const view = (changes: Partial<View> = {}): View => ({
  name: 'w',
  storage: 'FloatStorage',
  key: '0',
  length: 12,
  offset: 0,
  shape: [3, 4],
  strides: [4, 1],
  ...changes,
})

describe('torch: views', () => {
  it.each<[string, Partial<View>, number[]]>([
    ['the whole storage', {}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]],
    ['a part', { shape: [2, 2], strides: [2, 1], offset: 5 }, [5, 6, 7, 8]],
    ['a transposed one', { shape: [4, 3], strides: [1, 4] }, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]],
    ['a column', { shape: [3], strides: [4], offset: 2 }, [2, 6, 10]],
    ['columns', { shape: [3, 2], strides: [4, 1], offset: 1 }, [1, 2, 5, 6, 9, 10]],
    ['an overlapping window', { shape: [3, 2], strides: [1, 1] }, [0, 1, 1, 2, 2, 3]],
    [
      'any stride of an axis of length 1',
      { shape: [1, 12], strides: [999, 1] },
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    ],
    ['a scalar', { shape: [], strides: [], offset: 11 }, [11]],
    ['no elements', { shape: [0, 4], strides: [4, 1], offset: 12 }, []],
  ])('%s', async (_, changes, values) => {
    expect(await readNumbers(await fileOf(stateDict([view(changes)]), [floats(12)]))).toEqual({ w: values })
  })

  it('of one storage under two names', async () => {
    const path = await fileOf(
      stateDict([view(), view({ name: 'again' }), view({ name: 'part', shape: [2], strides: [1] })]),
      [floats(12)],
    )
    const { w, again, part } = await readNumbers(path)
    expect(again).toEqual(w)
    expect(part).toEqual([0, 1])
  })

  it('of a storage with gaps that are too wide to be read', async () => {
    const rows = 50,
      stride = 2 ** 20 // 200 MiB, of which 100 numbers are wanted
    const path = await fileOf(stateDict([view({ length: rows * stride, shape: [rows, 2], strides: [stride, 3] })]), [
      { name: '0', bytes: rows * stride * 4 },
    ])
    const memory = process.memoryUsage().rss
    expect((await readNumbers(path)).w).toEqual(new Array(100).fill(0))
    expect(process.memoryUsage().rss - memory).toBeLessThan(50 * 2 ** 20)
    await rm(path)
  })

  it('of any shape and strides agree with their definition (random)', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ d: fc.integer({ min: 0, max: 4 }), stride: fc.nat(7) }), { maxLength: 4 }),
        fc.nat(5),
        async (axes, offset) => {
          const [shape, strides] = [axes.map(a => a.d), axes.map(a => a.stride)]
          const length = Math.max(
            offset + shape.reduce((last, d, i) => last + Math.max(0, d - 1) * strides[i], 0) + 1,
            sizeOf(shape),
          )
          const own = stridesOf(shape)
          const values = Array.from({ length: sizeOf(shape) }, (_, n) =>
            own.reduce((at, s, i) => at + (Math.floor(n / s) % shape[i]) * strides[i], offset),
          )
          const path = await fileOf(stateDict([view({ length, shape, strides, offset })]), [floats(length)])
          expect(await readNumbers(path)).toEqual({ w: values })
          await rm(path)
        },
      ),
      { numRuns: 100 },
    ))

  it('past 4 GiB of one storage', async () => {
    const length = 1.25 * 2 ** 30 // of float32: 5 GiB, sparse
    const path = await fileOf(
      stateDict([
        view({ name: 'tail', length, offset: length - 2, shape: [2], strides: [1] }),
        view({ name: 'after', key: '1', length: 2, shape: [2], strides: [1] }),
      ]),
      [
        { name: '0', bytes: length * 4 },
        { name: '1', data: bytesOf(hostFrom('float32', [2], [7, 8])) },
      ],
    )
    expect(await readNumbers(path)).toEqual({ tail: [0, 0], after: [7, 8] })
    await rm(path)
  })
})

describe('torch: a state_dict beside other things', () => {
  const dictionary = (...entries: readonly Uint8Array[]): Buffer =>
    Buffer.concat([p.dict, p.mark, ...entries, p.setItems])
  const tensors = dictionary(p.text('w'), tensorPickle(view({ shape: [2], strides: [1] })))
  /** An object of a class of Python, with a state: only its name is read. */
  const object = Buffer.concat([
    p.global('argparse', 'Namespace'),
    p.group(),
    Buffer.from([0x81]),
    dictionary(p.text('lr'), p.int(3)),
    p.build,
  ])
  const optimizer = dictionary(
    p.text('state'),
    dictionary(p.int(0), dictionary(p.text('exp_avg'), tensorPickle(view()))),
  )

  it.each<[string, Uint8Array, string | undefined]>([
    ['of Lightning', dictionary(p.text('epoch'), p.int(1), p.text('state_dict'), tensors), '"epoch"'],
    ['of a training program', dictionary(p.text('optimizer'), optimizer, p.text('model'), tensors), '"optimizer"'],
    ['beside an object', dictionary(p.text('args'), object, p.text('module'), tensors), '"args"'],
    ['two levels down', dictionary(p.text('model'), dictionary(p.text('state_dict'), tensors)), undefined],
  ])('%s', async (_, pickle, left) => {
    const path = await fileOf(p.program(pickle), [floats(12)])
    expect(await readNumbers(path)).toEqual({ w: [0, 1] })
    const reader = await torch.open(path)
    await reader.close()
    expect(reader.notices?.join()).toEqual(left === undefined ? '' : expect.stringContaining(`are not read: ${left}`))
  })
})

describe('torch: what is not a checkpoint of tensors', () => {
  const broken = /broken or malicious/
  it.each<[string, Uint8Array, RegExp]>([
    [
      'a view past its storage',
      stateDict([view({ offset: 1 })]),
      /^tensor "w": float32\[3,4\] with strides \[4,1\] reaches to element 13 of a storage that has 12/,
    ],
    ['strides past the storage', stateDict([view({ strides: [5, 1] })]), /reaches to element 14/],
    ['strides that overflow', stateDict([view({ strides: [2 ** 53 - 1, 2 ** 53 - 1] })]), broken],
    ['a negative stride', stateDict([view({ strides: [-4, 1] })]), broken],
    ['a negative offset', stateDict([view({ offset: -1 })]), broken],
    ['a negative dimension', stateDict([view({ shape: [-3, -4] })]), broken],
    ['fewer strides than dimensions', stateDict([view({ strides: [1] })]), broken],
    [
      'too many dimensions',
      stateDict([view({ shape: new Array(65).fill(1), strides: new Array(65).fill(1) })]),
      broken,
    ],
    ['a shape that overflows', stateDict([view({ shape: [2 ** 30, 2 ** 30], strides: [0, 0] })]), /overflows/],
    [
      'an expanded view',
      stateDict([view({ shape: [2 ** 20, 2 ** 20], strides: [0, 0] })]),
      /^tensor "w": it is an expanded view of 12 elements as 1,099,511,627,776/,
    ],
    [
      'a storage of another size',
      stateDict([view({ length: 11, shape: [1], strides: [1] })]),
      /^tensor "w": its storage "0" should have 44 bytes and has 48/,
    ],
    ['a storage of a negative size', stateDict([view({ length: -1 })]), broken],
    [
      'a storage that is missing',
      stateDict([view({ key: '7' })]),
      /^tensor "w": its storage "7" is not in the archive/,
    ],
    [
      'a storage that is elsewhere',
      stateDict([view({ key: '../version' })]),
      /^tensor "w": its storage "\.\.\/version" is not in the archive/,
    ],
    [
      'a dtype that we lack',
      stateDict([view({ storage: 'ShortStorage' })]),
      /^tensor "w": torch\.ShortStorage is not supported: convert the tensor to int32/,
    ],
    ['a storage that is none', stateDict([view({ storage: 'load' })]), /asks for "torch\.load"/],
    ['__proto__', stateDict([view({ name: 'a.__proto__' })]), /"__proto__" is not allowed/],
    [
      'one tensor',
      p.program(tensorPickle(view())),
      /holds what "torch\._utils\._rebuild_tensor_v2" makes, not a dictionary/,
    ],
    ['nothing', p.program(p.none), /holds nothing, not a dictionary/],
    [
      'a training checkpoint',
      p.program(p.dict, p.text('model'), p.orderedDict(), p.setItem),
      /^tensor "model": it is a dictionary, not a tensor: this may be a training checkpoint/,
    ],
    [
      'a number among tensors',
      p.program(p.dict, p.text('epoch'), p.int(3), p.setItem),
      /^tensor "epoch": it is a number, not a tensor/,
    ],
    [
      'a name that is a number',
      p.program(p.dict, p.int(3), tensorPickle(view()), p.setItem),
      /^tensor "3": its name is a number/,
    ],
    [
      'a tensor without a storage',
      p.program(p.dict, p.text('w'), p.call(p.global('torch._utils', '_rebuild_tensor_v2'), p.none), p.setItem),
      /^tensor "w": it has no storage/,
    ],
    [
      'a conjugated view',
      p.program(
        p.dict,
        p.text('w'),
        tensorPickle(view(), Buffer.concat([p.dict, p.text('conj'), Buffer.from([0x88]), p.setItem])),
        p.setItem,
      ),
      /^tensor "w": it is a conjugated/,
    ],
  ])('%s', async (_, pickle, message) => {
    expect(await failure(await fileOf(pickle, [floats(12)]))).toMatch(message)
  })

  it('float64 is read as float32', async () => {
    const doubles = { name: '0', data: new Uint8Array(new Float64Array([0, 1, 2, 0.1, 4, 5]).buffer) }
    const column = view({ storage: 'DoubleStorage', length: 6, shape: [2], strides: [3] })
    const path = await fileOf(stateDict([column]), [doubles])
    expect(await readNumbers(path)).toEqual({ w: [0, Math.fround(0.1)] })
    const reader = await torch.open(path)
    expect(reader.notices).toEqual(['1 tensors are stored in float64 and are read in float32'])
    await reader.close()
  })

  it('a parameter is its tensor', async () => {
    const parameter = p.call(
      p.global('torch._utils', '_rebuild_parameter'),
      tensorPickle(view({ shape: [2], strides: [1] })),
      p.false,
      p.orderedDict(),
    )
    expect(await readNumbers(await fileOf(p.program(p.dict, p.text('w'), parameter, p.setItem), [floats(12)]))).toEqual(
      { w: [0, 1] },
    )
  })

  it('bool bytes other than 0 and 1', async () => {
    const path = await fileOf(stateDict([view({ storage: storageNames.bool, length: 1, shape: [1], strides: [1] })]), [
      { name: '0', data: new Uint8Array([2]) },
    ])
    expect(await failure(path)).toMatch(/^tensor "w" is bool/)
  })

  it('another byte order', async () => {
    expect(await failure(await fileOf(stateDict([]), [], 'big'))).toMatch(/byte order is "big"/)
  })

  it('a pickle that is too large', async () => {
    const path = join(scratch, 'large-pickle.bin')
    await writeZip(path, [{ name: 'x/data.pkl', bytes: 2 ** 33 }])
    expect(await failure(path)).toMatch(/its data\.pkl has 8\.00 GiB, more than the 16\.00 MiB/)
    await rm(path)
  })

  it('archives with no pickle, or with two', async () => {
    const path = join(scratch, 'other.bin')
    for (const [n, names] of [['a'], ['data.pkl'], ['a/b/data.pkl'], ['a/data.pkl', 'b/data.pkl']].entries()) {
      await writeZip(
        path,
        names.map(name => ({ name, data: stateDict([]) })),
      )
      expect(await failure(path)).toContain(`the archive has ${n === 3 ? 2 : 0} entries NAME/data.pkl`)
    }
  })

  it('the layout of torch before 1.6', async () => {
    const path = join(scratch, 'old.bin')
    await writeFile(
      path,
      Buffer.concat([
        Buffer.from('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.', 'latin1'),
        Buffer.alloc(100),
      ]),
    )
    expect(await failure(path)).toMatch(/layout of torch before 1\.6: load it with a newer torch and save it again/)
  })

  it(`a mutated pickle is read or refused, in ${fuzzRuns} cases`, () => {
    const good = stateDict([
      view(),
      view({ name: 'column', shape: [3], strides: [4] }),
      view({ name: 'b', storage: storageNames.bool, key: '1', length: 2, shape: [2], strides: [1] }),
    ])
    let read = 0
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), mutations => {
        try {
          for (const { shape, storageLength } of readStateDict(
            'model.bin',
            mutations.reduce<Buffer>((bytes, mutate) => mutate(bytes), good),
          ).tensors.values()) {
            expect(sizeOf(shape)).toBeLessThanOrEqual(storageLength)
          }
          read++
        } catch (error) {
          expect(error).toBeInstanceOf(FileError)
          expect((error as FileError).message.startsWith('model.bin: ')).toBe(true)
        }
      }),
      { numRuns: fuzzRuns },
    )
    expect(read).toBeGreaterThan(0)
    expect(read).toBeLessThan(fuzzRuns)
  })

  it('is detected by its first bytes where its name says nothing', async () => {
    const path = join(scratch, 'blob')
    await writeZip(path, torchEntries(stateDict([]), []))
    expect((await detectFormat(path)).name).toBe('torch')
  })
})
