import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { verifyGeneration } from './generation.js'

const recorded = fileURLToPath(new URL('../../test/fixtures/fuzz/18-07-switch', import.meta.url))
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-verify-'))
  await cp(recorded, folder, { recursive: true })
})
afterEach(() => rm(folder, { recursive: true }))

interface Case {
  readonly args: Record<string, unknown>
}

it("a case's max_length wins over the model's", async () => {
  const file = join(folder, 'generation_config.json')
  await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, 'utf8')) as object), max_length: 3 }))
  const { greedy } = JSON.parse(await readFile(join(folder, 'generation.json'), 'utf8')) as Record<string, Case>
  const { max_new_tokens: most, ...args } = greedy.args
  const given = { ...args, max_length: Number(most) + 1 }
  await writeFile(join(folder, 'generation.json'), JSON.stringify({ greedy: { ...greedy, args: given } }))
  expect((await verifyGeneration(folder)).map(row => row.ok)).toEqual([true])
})
