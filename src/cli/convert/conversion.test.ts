import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { writeNativeWeights } from '../../checkpoint/native-weights.js'
import { newWeights } from '../../checkpoint/weights.js'
import { preset } from '../../model/presets.js'
import { openWeights } from '../../open/open-weights.js'
import { sparseModel } from '../../../test/small-model.js'
import { convertWeights } from './conversion.js'
import { watchedWeights } from './watched-weights.js'

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-convert-'))
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
})
afterAll(async () => {
  vi.restoreAllMocks()
  await rm(scratch, { recursive: true })
})

const { router } = preset('switch-base-8')
const model = sparseModel({ dModel: 32, dFf: 48, vocabSize: 40, numExperts: 3, encoderSparseLayers: [1] })
const weights = newWeights('new', model, router, 5)

/** All parameters of the model in a folder, by path. */
async function everything(folder: string): Promise<Map<string, unknown>> {
  const opened = await openWeights(folder)
  const values = new Map<string, unknown>()
  for (const { path } of opened.specs) values.set(path, await opened.read(path))
  await opened.close()
  return values
}

it('--experts apart writes experts.bin, from which every other format is written', async () => {
  const plain = join(scratch, 'plain')
  await writeNativeWeights(plain, weights)
  const expected = await everything(plain)
  const apart = join(scratch, 'apart')
  await convertWeights(plain, apart, { to: 'native', experts: 'apart' })
  expect((await readdir(apart)).sort()).toEqual([
    'checkpoint.json',
    'experts.bin',
    'experts.json',
    'params.safetensors',
  ])
  expect(await everything(apart)).toEqual(expected)
  for (const to of ['native', 'safetensors', 't5x'] as const) {
    const back = join(scratch, `back-${to}`)
    await convertWeights(apart, back, { to })
    const values = await everything(back)
    for (const [path, value] of expected) expect(values.get(path), path).toEqual(value)
  }
})

it('quantized experts are moved as they are', async () => {
  const apart = join(scratch, 'int8-apart')
  await convertWeights(join(scratch, 'plain'), apart, { to: 'native', experts: 'apart', dtype: 'int8' })
  const a = await openWeights(apart)
  const path = 'encoder/layers_1/mlp/expert/wo/kernel'
  for (const [i, options] of ([{}, { experts: 'together' }, { dtype: 'int8' }] as const).entries()) {
    const together = join(scratch, `int8-${i}`)
    await convertWeights(apart, together, { to: 'native', ...options })
    const b = await openWeights(together)
    expect([a.bits, b.bits]).toEqual([8, 8])
    expect(await b.readQuantized!(path)).toEqual(await a.readQuantized!(path))
    await b.close()
    expect(await readdir(together)).not.toContain('experts.bin')
  }
  await a.close()
  await expect(convertWeights(apart, join(scratch, 'int4'), { to: 'native', dtype: 'int4' })).rejects.toThrow(
    'are quantized to 8 bits already: leave --dtype out',
  )
})

it('--experts is refused for other formats', async () => {
  for (const to of ['safetensors', 'peft'] as const)
    await expect(convertWeights(join(scratch, 'plain'), join(scratch, 'no'), { to, experts: 'apart' })).rejects.toThrow(
      `the format ${to} has no file for experts`,
    )
})

it('a writer that is stopped leaves nothing', async () => {
  const folder = join(scratch, 'stopped')
  await writeNativeWeights(join(folder, 'first'), weights)
  const controller = new AbortController()
  const shares: number[] = []
  const watched = watchedWeights(weights, {
    signal: controller.signal,
    onRead: share => {
      shares.push(share)
      if (share > 0.6) controller.abort(new Error('stopped'))
    },
  })
  const target = join(folder, 'second')
  await expect(writeNativeWeights(target, watched, { experts: 'apart', bits: 4 })).rejects.toThrow('stopped')
  expect(await readdir(folder)).toEqual(['first'])
  expect(shares).toEqual(shares.toSorted((x, y) => x - y))
})
