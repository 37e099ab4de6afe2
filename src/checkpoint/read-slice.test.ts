import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { allocate } from '../base/dtypes.js'
import { bytesOf, sizeOf } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { partAt } from '../engine/compile/parts.js'
import { memorySource } from './byte-source.js'
import type { ByteSource } from './byte-source.js'
import { readRows } from './read-rows.js'
import { openSafetensors } from './safetensors-read.js'
import { safetensors } from './safetensors.js'
import { sourceOf } from './format.js'

/** A tensor whose bytes differ from one element to the next. */
function tensor(dtype: HostTensor['dtype'], shape: readonly number[]): HostTensor {
  const data = allocate(dtype, sizeOf(shape))
  bytesOf({ dtype, shape, data }).forEach((_, i, bytes) => (bytes[i] = dtype === 'bool' ? i % 2 : (i * 37) % 251))
  return { dtype, shape, data }
}

const tensors = new Map([
  ['before', tensor('float32', [3])],
  ['cube', tensor('float32', [4, 6, 5])],
  ['halves', tensor('bfloat16', [8, 3])],
  ['flags', tensor('bool', [2, 7])],
  ['longs', tensor('int64', [9])],
  ['scalar', tensor('float32', [])],
  ['empty', tensor('float32', [0, 4])],
])

async function fileBytes(): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-slices-'))
  try {
    await safetensors.write(join(folder, 'model.safetensors'), sourceOf(tensors))
    return await readFile(join(folder, 'model.safetensors'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

it('any part of any tensor is read as it is in the whole', async () => {
  const reader = await openSafetensors(memorySource(await fileBytes()))
  const part = fc
    .constantFrom(...tensors)
    .chain(([name, whole]) =>
      fc
        .tuple(...whole.shape.map(size => fc.tuple(fc.nat(size), fc.nat(size))))
        .map(ends => ({ name, whole, start: ends.map(e => Math.min(...e)), end: ends.map(e => Math.max(...e)) })),
    )
  await fc.assert(
    fc.asyncProperty(part, async ({ name, whole, start, end }) => {
      const shape = end.map((e, dim) => e - start[dim])
      const expected = partAt(whole, start, shape)
      const { data, ...type } = await reader.readSlice!(name, start, shape)
      expect(type).toEqual({ dtype: whole.dtype, shape })
      expect(Array.from(data, Number)).toEqual(Array.from(expected.data, Number))
    }),
    { numRuns: 500, seed: 7 },
  )
  await expect(reader.readSlice!('cube', [3, 0, 0], [2, 6, 5])).rejects.toThrow(
    'tensor "cube" [4,6,5] has no part [2,6,5] at [3,0,0]',
  )
  await expect(reader.readSlice!('other', [0], [1])).rejects.toThrow('there is no tensor "other"')
})

it('close rows are read together, in pieces of 4 MiB at most, and distant ones one by one', async () => {
  const size = 20 * 2 ** 20
  const reads: number[] = []
  const source: ByteSource = {
    path: 'counted',
    size,
    read: async (offset, length) => {
      reads.push(length)
      const bytes = new Uint8Array(length)
      for (let i = 0; i < length; i++) bytes[i] = (offset + i) % 251
      return bytes
    },
  }
  const rows = async (stride: number, length: number, count: number): Promise<void> => {
    reads.length = 0
    const offsets = Array.from({ length: count }, (_, i) => 5 + i * stride)
    const bytes = await readRows(source, { offsets, length, what: 'rows' })
    expect(bytes.length).toBe(count * length)
    for (const [row, at] of [0, 1, count - 1].map(r => [r, r * length]))
      expect(bytes[at + length - 1]).toBe((offsets[row] + length - 1) % 251)
  }
  await rows(8, 4, 2 ** 20)
  expect(reads.length).toBe(2)
  expect(Math.max(...reads)).toBeLessThanOrEqual(2 ** 22)
  await rows(2 ** 20, 64, 10)
  expect(reads).toEqual(Array(10).fill(64))
  await rows(6 * 2 ** 20, 5 * 2 ** 20, 3)
  expect(reads).toEqual(Array(3).fill(5 * 2 ** 20))
})
