import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, it, vi } from 'vitest'
import { useTestHub } from '../../../test/hub-setup.js'
import { fetchModel } from './fetch-model.js'

// A file system without links, such as exFAT, or Windows without the privilege.
vi.mock(import('node:fs/promises'), async original => ({
  ...(await original()),
  symlink: () => Promise.reject(Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' })),
}))

const test = useTestHub()
beforeEach(() => {
  test.hub.add('a/b', { 'config.json': '{}', 'model.safetensors': 'weights' })
})

it('a snapshot holds copies where links are not possible, and these are not fetched again', async () => {
  const snapshot = await fetchModel('a/b')
  expect((await lstat(join(snapshot, 'model.safetensors'))).isFile()).toBe(true)
  expect(await readFile(join(snapshot, 'model.safetensors'), 'utf8')).toBe('weights')
  expect((await readdir(snapshot)).sort()).toEqual(['config.json', 'model.safetensors'])
  test.hub.seen.length = 0
  expect(await fetchModel('a/b')).toBe(snapshot)
  expect(test.hub.seen).toHaveLength(1)
})
