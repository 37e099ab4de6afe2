import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { host, thisProcess } from './owner.js'
import { isLocked, RunLock } from './run-lock.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-lock-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const since = '2026-01-01T00:00:00.000Z'
const leave = (holder: object, n = 1): Promise<void> =>
  writeFile(join(folder, `.lock-${n}`), JSON.stringify({ began: null, since, ...holder }))

describe('RunLock', () => {
  it('is held by one at a time, and leaves nothing when it is released', async () => {
    const lock = await RunLock.acquire(folder)
    expect(await isLocked(folder)).toBe(true)
    await expect(RunLock.acquire(folder)).rejects.toThrow(
      new RegExp(`this process \\(pid ${process.pid}, since .*\\) is training here: wait for it to end, or stop it`),
    )
    await lock.release()
    expect(await isLocked(folder)).toBe(false)
    expect(await readdir(folder)).toEqual([])
    await (await RunLock.acquire(folder)).release()
  })

  it('names another process that holds it', async () => {
    await leave({ host, pid: process.ppid })
    await expect(RunLock.acquire(folder)).rejects.toThrow(
      `${folder}: another process (pid ${process.ppid}, since ${since}) is training here`,
    )
  })

  it('passes from a process that has ended', async () => {
    await leave({ host, pid: spawnSync(process.execPath, ['-e', '']).pid })
    const lock = await RunLock.acquire(folder)
    expect(await readdir(folder)).toEqual(['.lock-2'])
    await lock.release()
  })

  it('passes from a process whose pid belongs to a later one', async () => {
    const { began } = await thisProcess()
    expect(began).not.toBeNull()
    await leave({ host, pid: process.pid, began: `${began} earlier` })
    await (await RunLock.acquire(folder)).release()
  })

  it('is not taken from a process on another machine: the message says what to remove', async () => {
    await leave({ host: 'elsewhere', pid: 12 })
    await expect(RunLock.acquire(folder)).rejects.toThrow(
      `a process on the machine elsewhere (pid 12, since ${since}) is training here. ` +
        `Wait for it to end; if it has crashed, remove ${join(folder, '.lock-1')}`,
    )
  })

  it('passes from a process that crashed while it wrote the lock', async () => {
    await writeFile(join(folder, '.lock-1'), '')
    const then = new Date(Date.now() - 3600_000)
    await utimes(join(folder, '.lock-1'), then, then)
    await (await RunLock.acquire(folder)).release()
  })

  it('is given to one of many that ask at once', async () => {
    await leave({ host, pid: spawnSync(process.execPath, ['-e', '']).pid })
    const asked = await Promise.allSettled(Array.from({ length: 20 }, () => RunLock.acquire(folder)))
    const locks = asked.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
    expect(locks).toHaveLength(1)
    await locks[0].release()
    expect(await readdir(folder)).toEqual([])
  })
})
