import { afterEach, describe, expect, it } from 'vitest'
import { fileCacheOf, freeMemory, freeOf, memoryProblem } from './free-memory.js'

const GiB = 2 ** 30
afterEach(() => {
  delete process.env.SWITCHYARD_MEMORY_CHECK
})

describe('free memory', () => {
  const none = { limit: 0, fileCache: 0, resident: GiB }
  const container = { machine: 60 * GiB, limit: 16 * GiB, resident: 2 * GiB }
  it.each([
    ['the machine has', { ...none, machine: 20 * GiB, available: 20 * GiB }, 20],
    ['a limit leaves that Node does not count', { ...container, available: 61 * GiB, fileCache: 0 }, 14],
    ['a limit leaves with its file cache', { ...container, available: GiB, fileCache: 12 * GiB }, 13],
    ['a limit leaves without this process', { ...container, available: GiB, fileCache: 15 * GiB }, 14],
    ['a machine has below the limit', { ...container, machine: 3 * GiB, available: 2 * GiB, fileCache: 10 * GiB }, 3],
    ['a limit leaves that is exceeded', { ...container, available: 0, fileCache: 0 }, 0],
  ])('is what %s', (_, readings, expected) => expect(freeOf(readings) / GiB).toBe(expected))

  it('counts the file cache in the statistics of a cgroup', () => {
    expect(fileCacheOf('anon 5\nfile 900\ninactive_file 100\nactive_file 20\ntotal_active_file 7\n')).toBe(120)
    expect(fileCacheOf('')).toBe(0)
  })

  it('is read from this machine', () => {
    expect(freeMemory()).toBeGreaterThan(0)
    expect(freeMemory()).toBeLessThan(2 ** 50)
  })

  it('that is too little is a message with both numbers and the way to go on, which works', () => {
    const problem = (): string | undefined => memoryProblem('a test', 2 ** 60, () => 'use less')
    expect(problem()).toMatch(
      /^a test takes about 1024\.00 PiB of memory, and [\d.]+ .iB are free: use less\. To try it anyway, set the environment variable SWITCHYARD_MEMORY_CHECK=off$/,
    )
    process.env.SWITCHYARD_MEMORY_CHECK = 'off'
    expect(problem()).toBeUndefined()
  })
})
