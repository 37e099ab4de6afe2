import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { didYouMeanPath, similarPath } from './similar-path.js'

const before = process.cwd()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-similar-'))
  await mkdir(join(folder, 'runs', 'first'), { recursive: true })
  process.chdir(folder)
})
afterAll(async () => {
  process.chdir(before)
  await rm(folder, { recursive: true })
})

it('a plain name is looked for in the folders that are given, and in no others', async () => {
  expect(await similarPath('frist', ['runs'])).toBe(join('runs', 'first'))
  expect(await didYouMeanPath('frist', 'a run was expected', ['runs'])).toBe('did you mean runs/first?')
  expect(await similarPath('frist')).toBeUndefined()
  expect(await didYouMeanPath('frist', 'a file was expected')).toBe('a file was expected')
})

it('a name that may be given instead of a path is proposed as well, before the path', async () => {
  const propose = (name: string, names: string[]): Promise<string> => didYouMeanPath(name, 'other', ['runs'], names)
  expect(await propose('frist', ['first'])).toBe(`did you mean first or ${join('runs', 'first')}?`)
  expect(await propose('frist', ['g2p'])).toBe('did you mean runs/first?')
  expect(await propose('gp2', ['g2p'])).toBe('did you mean g2p? runs has first')
})

it('the folders that exist are listed, the nearest name first', async () => {
  const others = ['parity', 'words', 'g2p', 'g2p-full']
  for (const name of others) await mkdir(join(folder, 'listed/runs', name), { recursive: true })
  process.chdir(join(folder, 'listed'))
  try {
    const all = 'runs has words, parity, g2p, g2p-full'
    expect(await didYouMeanPath('runs/wolds-too', 'a run was expected', ['runs'])).toBe(`a run was expected; ${all}`)
    expect(await didYouMeanPath('wolds-too', 'a run was expected', ['runs'])).toBe(`a run was expected; ${all}`)
    const near = 'did you mean listed/runs/words? listed/runs has also g2p, parity, g2p-full'
    process.chdir(folder)
    expect(await didYouMeanPath('listed/runs/wods', 'a run was expected', ['runs'])).toBe(near)
    expect(await didYouMeanPath('listed/wods', 'a file was expected')).toBe('a file was expected')
  } finally {
    process.chdir(folder)
  }
})

it('a path is looked for in its own folder, and in a folder of a similar name', async () => {
  expect(await similarPath('runs/frist')).toBe(join('runs', 'first'))
  expect(await similarPath('rnus/first')).toBe(join('runs', 'first'))
})
