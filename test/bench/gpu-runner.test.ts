import { expect, it, vi } from 'vitest'
import * as runner from '../../bench/gpu/runner.js'

it('the runner of the GPU bundle takes cases as vitest does', async () => {
  const seen: unknown[][] = []
  runner.describe.each([
    ['add', { of: 1 }],
    ['sub', { of: 2 }],
  ])('%s', (...group) => {
    runner.it.each(['float32'])('%s', (...test) => void seen.push([...group, ...test]))
    runner.it.each([{ name: 'program' }])('$name', () => {
      throw new Error('no')
    })
  })
  const lines: string[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line))
  try {
    await runner.runTests()
  } finally {
    log.mockRestore()
  }
  expect(seen).toEqual([
    ['add', { of: 1 }, 'float32'],
    ['sub', { of: 2 }, 'float32'],
  ])
  expect(lines.map(line => JSON.parse(line) as object)).toMatchObject([
    { test: 'add > float32', passed: true },
    { test: 'add > program', passed: false, error: 'no' },
    { test: 'sub > float32', passed: true },
    { test: 'sub > program', passed: false, error: 'no' },
  ])
})
