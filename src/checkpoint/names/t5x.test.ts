import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FileError } from '../../base/errors.js'
import { hostFrom, hostScalar, sizeOf, toNumbers } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { declareParameters } from '../../model/parameters.js'
import { readTensors, sourceOf } from '../format.js'
import type { CheckpointReader } from '../format.js'
import { safetensors } from '../safetensors.js'
import { t5x } from '../t5x/t5x.js'
import { configFromT5x } from './t5x-config.js'
import { t5xParameters, t5xSource } from './t5x.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../../../test/fixtures/t5x/${name}`, import.meta.url))

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-t5x-names-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const readAll = (reader: CheckpointReader): Promise<Map<string, HostTensor>> =>
  readTensors(reader).finally(() => reader.close())

/** A checkpoint of tensors in memory that counts what is read. */
function readerOf(shapes: Readonly<Record<string, readonly number[]>>): CheckpointReader & { reads: string[] } {
  const reads: string[] = []
  return {
    path: 'checkpoint_1',
    metadata: new Map(),
    reads,
    close: async () => undefined,
    list: () => Object.entries(shapes).map(([name, shape]) => ({ name, dtype: 'int32', shape })),
    async read(name) {
      reads.push(name)
      return hostFrom(
        'int32',
        shapes[name],
        Array.from({ length: sizeOf(shapes[name]) }, (_, i) => i),
      )
    },
  }
}

describe('the parameters of a T5X checkpoint', () => {
  it('are those of a model, each declared and none too many', async () => {
    const reader = t5xParameters(await t5x.open(fixture('t5x_ckpt/f32/checkpoint_1')))
    const { model, router } = configFromT5x(reader.list(), reader.path)
    const declared = declareParameters(model, router).map(({ path, shape }) => [path, shape] as const)
    expect(new Map(reader.list().map(({ name, shape }) => [name, shape]))).toEqual(new Map(declared))
    expect(await readAll(reader)).toEqual(await readAll(await safetensors.open(fixture('t5x_ckpt_params.safetensors'))))
  })

  it('come back from a checkpoint that we wrote, with the step', async () => {
    const params = await readAll(await safetensors.open(fixture('params.safetensors')))
    const path = join(scratch, 'checkpoint_12')
    await t5x.write(path, t5xSource(sourceOf(params), 12))
    const reader = await t5x.open(path)
    expect(await reader.read('state/step')).toEqual(hostScalar('int32', 12))
    expect(await readAll(t5xParameters(reader))).toEqual(params)
  })

  it('must be there', () => {
    expect(() => t5xParameters(readerOf({ 'state/step': [] }))).toThrow(FileError)
  })
})

describe('scanned layers', () => {
  it('are each a slice of what Flaxformer stacked', async () => {
    const stacked = await readAll(await safetensors.open(fixture('scan_params.safetensors')))
    const params = await readAll(t5xParameters(await t5x.open(fixture('t5x_ckpt/scan_f32/checkpoint_7'))))
    // Two blocks of two layers in each stack: 26 + 22 stacked tensors, and 3 that are not.
    const single = ['decoder/decoder_norm/scale', 'encoder/encoder_norm/scale', 'token_embedder/embedding']
    expect(params.size).toBe(2 * (stacked.size - single.length) + single.length)
    for (const name of single) expect(params.get(name)).toEqual(stacked.get(name))
    for (const [name, { dtype, shape, data }] of stacked) {
      const match = /^(\w+)\/\1\/subblock_(\d)\/(.*)$/.exec(name)
      if (match === null) continue
      const [first, , ...rest] = shape
      const inner = sizeOf(rest)
      for (const block of [0, 1]) {
        const slice = Array.from({ length: first * inner }, (_, i) =>
          Number(data[(Math.floor(i / inner) * 2 + block) * inner + (i % inner)]),
        )
        expect(params.get(`${match[1]}/layers_${2 * block + Number(match[2])}/${match[3]}`), name).toEqual(
          hostFrom(dtype, [first, ...rest], slice),
        )
      }
    }
  })

  it('are read once for all their layers, in the order of the list', async () => {
    const reader = readerOf({
      'target/encoder/encoder/a': [2, 3, 2],
      'target/b': [1],
      'target/encoder/encoder/c': [1, 3],
      'state/encoder/encoder/a': [2, 3],
    })
    const params = t5xParameters(reader)
    expect(reader.reads).toEqual([])
    const tensors = await readTensors(params)
    expect(reader.reads).toEqual(['target/encoder/encoder/a', 'target/b', 'target/encoder/encoder/c'])
    expect(new Map(Array.from(tensors, ([name, tensor]) => [name, toNumbers(tensor)]))).toEqual(
      new Map([
        ['encoder/layers_0/a', [0, 1, 6, 7]],
        ['encoder/layers_1/a', [2, 3, 8, 9]],
        ['encoder/layers_2/a', [4, 5, 10, 11]],
        ['b', [0]],
        ['encoder/layers_0/c', [0]],
        ['encoder/layers_1/c', [1]],
        ['encoder/layers_2/c', [2]],
      ]),
    )
  })

  it.each<[string, Record<string, number[]>, RegExp]>([
    [
      'of different numbers',
      { 'target/encoder/encoder/a': [2, 3], 'target/encoder/encoder/b': [2, 4] },
      /"target\/encoder\/encoder\/b" has the shape \[2,4\]/,
    ],
    [
      'without an axis for them',
      { 'target/encoder/encoder/a': [2] },
      /"target\/encoder\/encoder\/a" has the shape \[2\]/,
    ],
    [
      'of which some are missing',
      { 'target/encoder/encoder/subblock_0/a': [2, 2], 'target/encoder/encoder/subblock_2/a': [2, 2] },
      /0, 2: some are missing/,
    ],
    ['without number', { 'target/encoder/encoder/a': [0, 1e9] }, /1000000000/],
    ['beside single ones', { 'target/encoder/encoder/a': [2, 2], 'target/encoder/layers_1/a': [2] }, /two models/],
  ])('%s are refused', (_, shapes, message) => {
    expect(() => t5xParameters(readerOf(shapes))).toThrow(message)
    expect(() => t5xParameters(readerOf(shapes))).toThrow(FileError)
  })

  it('name what is not there', async () => {
    const error: unknown = await t5xParameters(readerOf({ 'target/a': [1] }))
      .read('target/a')
      .catch((e: unknown) => e)
    expect(String(error)).toMatch(/checkpoint_1.*"target\/a"/)
  })
})
