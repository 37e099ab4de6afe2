import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { declareParameters } from '../../model/parameters.js'
import { presets } from '../../model/presets.js'
import { PageCache } from './page-cache.js'
import { seededSource } from './seeded.js'
import type { SeededExperts } from './seeded.js'
import type { ExpertSource } from './source.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seeded-'))
})
afterEach(() => rm(folder, { recursive: true }))

const { model, router } = presets.get('switch-base-8')!
const specs = declareParameters({ ...model, dModel: 64, dFf: 96 }, router)

const sourceOf = (options: Partial<SeededExperts> = {}, cache = 'pages'): ExpertSource =>
  seededSource({
    name: 'a model',
    specs,
    dtype: 'bfloat16',
    bits: null,
    seed: 3,
    cache: new PageCache(join(folder, cache), 1e9),
    ...options,
  })

async function pageOf(source: ExpertSource, stack: number, expert: number): Promise<Uint8Array> {
  const page = new Uint8Array(source.stacks[stack].bytes)
  await source.read(stack, expert, page)
  return page
}

describe('seededSource', () => {
  it.each([{ bits: null }, { dtype: 'float32' }, { bits: 8 }, { bits: 4 }] as const)(
    'makes each expert the same at every time, and keeps it: %o',
    async options => {
      const page = await pageOf(sourceOf(options), 1, 5)
      expect(await pageOf(sourceOf(options, 'elsewhere'), 1, 5)).toEqual(page)
      const again = sourceOf(options)
      expect(await pageOf(again, 1, 5)).toEqual(page)
      expect(again.traffic().disk).toBe(page.byteLength)
      expect(await readdir(join(folder, 'pages/encoder/layers_3/mlp/expert'))).toEqual(['5.page'])
    },
  )

  it('makes different experts for other numbers, layers and seeds', async () => {
    const source = sourceOf()
    const pages = [
      await pageOf(source, 0, 0),
      await pageOf(source, 0, 1),
      await pageOf(source, 1, 0),
      await pageOf(sourceOf({ seed: 4 }, 'other'), 0, 0),
    ]
    expect(new Set(pages.map(String)).size).toBe(pages.length)
  })

  it('has the parts of a quantized kernel, and a scale that fits the distribution', async () => {
    const source = sourceOf({ bits: 8 })
    const [values, scales] = source.stacks[0].parts
    expect([values.dtype, values.shape, scales.shape]).toEqual(['int8', [64, 96], [96]])
    const { buffer } = await pageOf(source, 0, 0)
    const { init } = specs.find(({ path }) => path === values.parameter)!
    const stddev = 'stddev' in init ? init.stddev : NaN
    expect(new Float32Array(buffer, scales.offset, 96)).toEqual(new Float32Array(96).fill((2 * stddev) / 127))
  })

  it('refuses to read after it was closed, and stops when it is aborted', async () => {
    const source = sourceOf()
    const page = new Uint8Array(source.stacks[0].bytes)
    await expect(source.read(0, 0, page, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
    await source.close()
    await expect(source.read(0, 2, page)).rejects.toThrow('expert 2 of encoder/layers_1/mlp/expert cannot be read')
  })
})
