import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { folderDigest } from './folder-digest.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-digest-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** Makes a file of zeros, with ones from `start` on. */
async function fileOf(size: number, start: number, count: number): Promise<void> {
  const handle = await open(join(folder, 'weights'), 'w')
  await handle.truncate(size)
  await handle.write(Buffer.alloc(count, 1), 0, count, start)
  await handle.close()
}

it('changes if one byte in the middle of a file changes', async () => {
  await fileOf(2 ** 20, 2 ** 19, 1)
  const before = await folderDigest(folder)
  await fileOf(2 ** 20, 2 ** 19 + 1, 1)
  expect(await folderDigest(folder)).not.toBe(before)
})

it.each([0.25, 0.5, 0.75])('changes if a tensor at %f of a large file changes', async place => {
  const size = 2 ** 27
  await fileOf(size, 0, 0)
  const before = await folderDigest(folder)
  await fileOf(size, place * size, 2 ** 20)
  expect(await folderDigest(folder)).not.toBe(before)
})

it('leaves out the given files, and no others whose names begin alike', async () => {
  await writeFile(join(folder, 'model'), 'a')
  await mkdir(join(folder, 'model-v2'))
  await writeFile(join(folder, 'model-v2', 'weights'), 'a')
  const digest = (): Promise<string> => folderDigest(folder, [join(folder, 'model')])
  const before = await digest()
  await writeFile(join(folder, 'model'), 'b')
  expect(await digest()).toBe(before)
  await writeFile(join(folder, 'model-v2', 'weights'), 'b')
  expect(await digest()).not.toBe(before)
})
