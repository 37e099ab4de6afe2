import * as fs from 'node:fs/promises'
import type * as Files from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { writeFolderAtomically } from './atomic.js'

const failing = vi.hoisted(() => ({ from: '' }))

vi.mock('node:fs/promises', async importOriginal => {
  const real = await importOriginal<typeof Files>()
  const rename: typeof real.rename = (from, to) =>
    failing.from !== '' && String(from).includes(failing.from)
      ? Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
      : real.rename(from, to)
  return { ...real, rename }
})

it('a folder that cannot be replaced keeps its name', async () => {
  const scratch = await fs.mkdtemp(join(tmpdir(), 'switchyard-rollback-'))
  const path = join(scratch, 'x')
  await writeFolderAtomically(path, temp => fs.writeFile(join(temp, 'old'), ''))
  failing.from = '.switchyard-' // the rename of the new folder to its final name
  const replaced = writeFolderAtomically(path, temp => fs.writeFile(join(temp, 'new'), ''), { replace: true })
  await expect(replaced).rejects.toThrow(`${path}: the disk is full`)
  failing.from = ''
  expect(await fs.readdir(scratch)).toEqual(['x'])
  expect(await fs.readdir(path)).toEqual(['old'])
  await fs.rm(scratch, { recursive: true })
})
