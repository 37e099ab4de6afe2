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

it('a path is looked for in its own folder, and in a folder of a similar name', async () => {
  expect(await similarPath('runs/frist')).toBe(join('runs', 'first'))
  expect(await similarPath('rnus/first')).toBe(join('runs', 'first'))
})
