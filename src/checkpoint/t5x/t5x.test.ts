import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { filesIn, fuzzRuns, mutation } from '../../../test/conformance/checkpoint.js'
import { FileError, SwitchyardError } from '../../base/errors.js'
import { castHost, hostFrom, hostScalar, sizeOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { readCheckpoint, sourceOf } from '../format.js'
import { detectFormat } from '../../../test/conformance/formats.js'
import { safetensors } from '../safetensors.js'
import { t5x } from './t5x.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../../../test/fixtures/t5x/${name}`, import.meta.url))
const checkpoints = ['t5x_ckpt/f32/checkpoint_1', 't5x_ckpt/bf16/checkpoint_1', 't5x_ckpt/scan_f32/checkpoint_7']

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-t5x-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const readAll = (path: string): Promise<Map<string, HostTensor>> => readCheckpoint(t5x, path)

async function expected(
  name: string,
  prefix: string,
  change = (t: HostTensor): HostTensor => t,
): Promise<Map<string, HostTensor>> {
  const tensors = await readCheckpoint(safetensors, fixture(`${name}.safetensors`))
  return new Map(Array.from(tensors, ([key, tensor]) => [prefix + key, change(tensor)]))
}

/** The arrays that a file of a checkpoint is part of: `target.zstd/0.0` of `target/zstd`, `checkpoint` of all. */
async function readArraysOf(file: string, path: string): Promise<HostTensor[]> {
  const array = dirname(file).replace('.', '/')
  const reader = await t5x.open(path)
  try {
    const names = reader.list().flatMap(({ name }) => (file === 'checkpoint' || name === array ? name : []))
    return await Promise.all(names.map(name => reader.read(name)))
  } finally {
    await reader.close()
  }
}

const under = (tensors: ReadonlyMap<string, HostTensor>, prefix: string): Map<string, HostTensor> =>
  new Map([...tensors].filter(([name]) => name.startsWith(prefix)))

/** Counts up from 0, as TensorStore's fixture does. */
const counting = (dtype: HostTensor['dtype'], shape: number[]): HostTensor =>
  hostFrom(
    dtype,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => i),
  )

const readLatin1 = (path: string): Promise<string> => readFile(path, 'latin1')
/** The step of one of T5X's checkpoints is a NumPy scalar, of all others an array: extension 3, or 1. */
const scalarStep = 'step\xc7\x0e\x03'
const arrayStep = 'step\xc7\x0e\x01'

async function failure(path: string): Promise<string> {
  const error: unknown = await t5x.open(path).then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(FileError)
  expect((error as FileError).message).toContain(path)
  return (error as FileError).message
}

describe("T5X's own checkpoints", () => {
  it('hold the parameters of the safetensors beside them, bit for bit', async () => {
    expect(under(await readAll(fixture(checkpoints[0])), 'target/')).toEqual(
      await expected('t5x_ckpt_params', 'target/'),
    )
    expect(under(await readAll(fixture(checkpoints[1])), 'target/')).toEqual(
      await expected('t5x_ckpt_params', 'target/', tensor => castHost(tensor, 'bfloat16')),
    )
    expect(under(await readAll(fixture(checkpoints[2])), 'target/')).toEqual(await expected('scan_params', 'target/'))
  })

  it('hold the optimizer state and the step', async () => {
    const state = await expected('t5x_ckpt_state', 'state/')
    const step = state.get('state/step')!
    state.set('state/step', { ...step, shape: [] }) // safetensors has it as a vector of one
    for (const path of checkpoints.slice(0, 2)) expect(under(await readAll(fixture(path)), 'state/')).toEqual(state)
    expect((await readAll(fixture(checkpoints[2]))).get('state/step')).toEqual(hostScalar('int32', 7))
  })

  it('are found by their folder or by the file in it', async () => {
    for (const path of [fixture(checkpoints[0]), join(fixture(checkpoints[0]), 'checkpoint')]) {
      expect(await detectFormat(path)).toBe(t5x)
      expect((await readAll(path)).size).toBe(246)
    }
  })

  it('can be read without their .zarray files', async () => {
    const path = join(scratch, 'bare')
    await cp(fixture(checkpoints[1]), path, { recursive: true, filter: source => !source.endsWith('.zarray') })
    expect(await readAll(path)).toEqual(await readAll(fixture(checkpoints[1])))
  })
})

it("TensorStore's arrays in many chunks, of gzip, zstd or neither, with edges, gaps and without .zarray", async () => {
  const tensors = await readAll(fixture('tensorstore_ckpt'))
  const filled = counting('float32', [5, 6])
  for (const i of [2, 3]) for (const j of [3, 4, 5]) filled.data[i * 6 + j] = -1.5
  expect(tensors).toEqual(
    new Map<string, HostTensor>([
      ['target/zstd', counting('float32', [40, 30])],
      ['target/zstd_rows', counting('int32', [3, 5, 7])],
      ['target/edges', counting('int64', [5, 7, 3])],
      ['target/columns', counting('bfloat16', [6, 4])],
      ['target/raw', counting('float16', [5])],
      ['target/filled', filled],
      ['target/zeros', hostFrom('float32', [4], [0, 0, 0, 0])],
      ['target/flags', hostFrom('bool', [3, 3], [0, 1, 0, 1, 0, 1, 0, 1, 0])],
      ['target/bytes', counting('uint8', [3, 2])],
      ['target/scalar', hostScalar('int32', 7)],
      ['state/step', hostScalar('int32', 9)],
    ]),
  )
})

it(`${fuzzRuns} mutations of TensorStore's arrays are read, or refused with a FileError`, async () => {
  const path = join(scratch, 'mutated')
  await cp(fixture('tensorstore_ckpt'), path, { recursive: true })
  const names = await filesIn(path)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...names),
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      async (name, mutations) => {
        const original = await readFile(join(path, name))
        await writeFile(
          join(path, name),
          mutations.reduce<Buffer>((bytes, mutate) => mutate(bytes), original),
        )
        try {
          for (const { data, shape } of await readArraysOf(name, path)) expect(data.length).toBe(sizeOf(shape))
        } catch (error) {
          expect(error).toBeInstanceOf(FileError)
          expect((error as FileError).message).toContain(path)
        }
        await writeFile(join(path, name), original)
      },
    ),
    { numRuns: fuzzRuns },
  )
})

describe('written checkpoints', () => {
  it.each(checkpoints)(
    '%s is written as T5X wrote it: the msgpack and every .zarray byte for byte, the arrays bit for bit',
    async name => {
      const path = join(scratch, name)
      const original = await readAll(fixture(name))
      await t5x.write(path, sourceOf(original))
      expect(await readAll(path)).toEqual(original)
      expect((await readdir(path)).sort()).toEqual((await readdir(fixture(name))).sort())
      for (const file of await readdir(path, { recursive: true })) {
        if (file === 'checkpoint' || file.endsWith('.zarray'))
          expect(await readLatin1(join(path, file)), file).toBe(
            (await readLatin1(join(fixture(name), file))).replace(scalarStep, arrayStep),
          )
      }
    },
  )

  it('cut large arrays into chunks, the last one padded', async () => {
    const path = join(scratch, 'chunks')
    const tensors = new Map([
      ['target/w', counting('float32', [3, 5, 4])],
      ['target/v', counting('int64', [7])],
    ])
    await t5x.write(path, sourceOf(tensors), { chunkBytes: 40 })
    expect((await readdir(join(path, 'target.w'))).sort()).toEqual([
      '.zarray',
      ...[0, 1, 2].flatMap(i => [0, 1, 2].map(j => `${i}.${j}.0`)),
    ])
    expect(JSON.parse(await readFile(join(path, 'target.v', '.zarray'), 'utf8'))).toMatchObject({
      shape: [7],
      chunks: [5],
      dtype: '<i8',
    })
    expect(await readAll(path)).toEqual(tensors)
  })

  it('refuse names that T5X cannot hold', async () => {
    const w = counting('float32', [2])
    const wrong: [RegExp, string[]][] = [
      [/empty/, ['target//w']],
      [/"target.w"/, ['target/w', 'target.w']],
      [/"a".*is a tensor itself/, ['a', 'a/b']],
      [/folder/, ['checkpoint']],
      [/folder/, ['a\\b']],
      [/folder/, ['x'.repeat(300)]],
      [/__proto__/, ['target/__proto__']],
    ]
    for (const [message, names] of wrong) {
      const writing = t5x.write(join(scratch, 'names'), sourceOf(names.map(name => [name, w])))
      await expect(writing).rejects.toThrow(message)
      await expect(writing).rejects.toThrow(SwitchyardError)
    }
  })

  it('replace only checkpoints', async () => {
    const path = join(scratch, 'foreign')
    await mkdir(path)
    await writeFile(join(path, 'thesis.txt'), 'years of work')
    await expect(t5x.write(path, sourceOf([]), { replace: true })).rejects.toThrow(/"thesis.txt"/)
    expect(await readdir(path)).toEqual(['thesis.txt'])
  })
})

describe('what is no T5X checkpoint', () => {
  it("is recognised where it is Orbax's", async () => {
    const path = join(scratch, 'ocdbt')
    await mkdir(path)
    await writeFile(join(path, 'manifest.ocdbt'), '')
    expect(await detectFormat(path)).toBe(t5x)
    expect(await failure(path)).toContain('OCDBT')
  })

  it('may be the folder of several', async () => {
    expect(await failure(fixture('t5x_ckpt/f32'))).toContain('"checkpoint_1"')
  })

  it("may be TensorFlow's", async () => {
    const path = join(scratch, 'tensorflow')
    await mkdir(path)
    await writeFile(join(path, 'checkpoint'), 'model_checkpoint_path: "model.ckpt-0"\n')
    expect(await t5x.detect(path)).toBe(false)
    expect(await failure(path)).toContain('this is no T5X checkpoint')
  })
})
