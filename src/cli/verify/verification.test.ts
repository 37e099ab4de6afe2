import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { convertWeights } from '../convert/conversion.js'
import type { ConvertOptions } from '../convert/conversion.js'
import { Exit } from '../shared/exit.js'
import type { VerifyOptions } from './verification.js'
import { verify as compareModels } from './verification.js'

const fixtures = fileURLToPath(new URL('../../../test/fixtures', import.meta.url))
const recorded = ['cases', 'fuzz']
  .flatMap(group => readdirSync(join(fixtures, group)).map(name => join(group, name)))
  .filter(name => existsSync(join(fixtures, name, 'cases.safetensors')))

let folder: string
let printed: string[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-verify-'))
  printed = []
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line))
  vi.spyOn(console, 'error').mockReturnValue()
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(folder, { recursive: true })
})

const convert = async (source: string, name: string, options: ConvertOptions): Promise<string> => {
  await convertWeights(source, join(folder, name), options)
  return join(folder, name)
}
/** The exit code of the command. */
const verify = async (original: string, options: Partial<VerifyOptions> = {}): Promise<number> => {
  try {
    await compareModels([original], { set: [], ...options })
    return 0
  } catch (error) {
    if (error instanceof Exit) return error.code
    throw error
  }
}

describe('verify --weights', () => {
  it.each(recorded)('finds no difference in %s after it was converted twice', async name => {
    const original = join(fixtures, name)
    const copy = await convert(original, 'copy', { to: 'safetensors', dtype: 'float32' })
    const native = await convert(copy, 'native', { to: 'native' })
    expect(await verify(original, { weights: native })).toBe(0)
    expect(printed.at(-1)).toMatch(/^\n\d+ tensors? compared, all within the tolerance$/)
  })

  it('measures how far a quantized copy is from its original', async () => {
    const original = join(fixtures, 't5-v1_1')
    const int8 = await convert(original, 'int8', { to: 'native', dtype: 'int8' })
    expect(await verify(original, { weights: int8 })).toBe(1)
    expect(await verify(original, { weights: int8, tolerance: 0.05, json: true })).toBe(1)
    const [{ rows }] = JSON.parse(printed.at(-1)!) as [{ rows: { tensor: string; ok: boolean }[] }]
    expect(rows.filter(row => !row.ok && !row.tensor.startsWith('generation/'))).toEqual([])
  })

  it("computes with the copy's own configuration", async () => {
    const original = join(fixtures, 'cases/10-umt5')
    const copy = await convert(original, 'copy', { to: 'safetensors' })
    expect(await verify(original, { weights: copy })).toBe(0)
    const config = JSON.parse(await readFile(join(copy, 'config.json'), 'utf8')) as object
    await writeFile(join(copy, 'config.json'), JSON.stringify({ ...config, layer_norm_epsilon: 0.01 }))
    expect(await verify(original, { weights: copy })).toBe(1)
    expect(printed.at(-2)).toMatch(/^logits .* DIFFERS$/m)
  })

  it('computes a T5X checkpoint, which has no configuration, by that of the folder', async () => {
    const original = join(fixtures, 'switch-tiny')
    const t5x = await convert(original, 'checkpoint_0', { to: 't5x' })
    expect(await verify(original, { weights: t5x })).toBe(0)
  })
})

it('says that a path is a file', async () => {
  const file = join(fixtures, 'README.md')
  await expect(verify(file)).rejects.toThrow(
    `${file}: this is a file; a folder of weights with cases.safetensors was expected`,
  )
})
