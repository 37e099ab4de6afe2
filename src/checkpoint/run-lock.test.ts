import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import type * as Crypto from 'node:crypto'
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { namesIn } from './files.js'
import type * as Files from './files.js'
import { host, thisProcess } from './owner.js'
import { isLocked, RunLock } from './run-lock.js'

// Tests hold a listing of the folder back, choose the name of a lock, and fill the disk.
vi.mock('./files.js', async importOriginal => {
  const actual = await importOriginal<typeof Files>()
  return { ...actual, namesIn: vi.fn(actual.namesIn) }
})
vi.mock('node:crypto', async importOriginal => {
  const actual = await importOriginal<typeof Crypto>()
  return { ...actual, randomUUID: vi.fn(actual.randomUUID) }
})

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-lock-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const since = '2026-01-01T00:00:00.000Z'
const leave = (holder: object, n = 1): Promise<void> =>
  writeFile(join(folder, `.lock-${n}`), JSON.stringify({ began: null, since, ...holder }))

/** Acquires a lock `.lock-<name>`. */
function acquireAs(name: string): Promise<RunLock> {
  vi.mocked(randomUUID).mockReturnValueOnce(name as ReturnType<typeof randomUUID>)
  return RunLock.acquire(folder)
}

/** Holds the next listing of the folder back, once it is read. */
function stallListing(): { reached: Promise<void>; goOn: () => void } {
  let [sayReached, goOn] = [(): void => undefined, (): void => undefined]
  const reached = new Promise<void>(resolve => (sayReached = resolve))
  const mayGoOn = new Promise<void>(resolve => (goOn = resolve))
  vi.mocked(namesIn).mockImplementationOnce(async path => {
    const names = await readdir(path)
    sayReached()
    await mayGoOn
    return names
  })
  return { reached, goOn }
}

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
    expect(await readdir(folder)).not.toContain('.lock-1')
    await lock.release()
    expect(await readdir(folder)).toEqual([])
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

  it('passes from a lock that a crash of the machine left empty', async () => {
    await writeFile(join(folder, '.lock-1'), '')
    await (await RunLock.acquire(folder)).release()
  })

  it('is given to nobody on a full disk, and leaves nothing there', async () => {
    const probe = await open(join(folder, 'probe'), 'w')
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' })
    const write = vi.spyOn(Object.getPrototypeOf(probe) as typeof probe, 'writeFile').mockRejectedValue(full)
    try {
      await expect(RunLock.acquire(folder)).rejects.toThrow('the disk is full')
    } finally {
      write.mockRestore()
      await probe.close()
    }
    expect(await readdir(folder)).toEqual(['probe'])
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

  // Whichever of the two locks sorts first.
  describe.each(['earlier', 'later'])('whose name sorts %s than that of another process at the same moment,', order => {
    const [slow, quick] = order === 'earlier' ? ['a', 'b'] : ['b', 'a']

    it('is refused if the other took the folder after the first listing', async () => {
      await leave({ host, pid: spawnSync(process.execPath, ['-e', '']).pid }, 3)
      const stalled = stallListing()
      const asking = acquireAs(slow)
      await stalled.reached
      await (await acquireAs(quick)).release()
      const lock = await acquireAs(quick)
      // The first in order waits 10 s for the other one: here each look at the clock finds it 4 s later.
      let now = 0
      const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 4_000))
      stalled.goOn()
      await expect(asking).rejects.toThrow('is training here')
      clock.mockRestore()
      expect(await readdir(folder)).toEqual([`.lock-${quick}`])
      await lock.release()
    })

    it('is held by one of the two if both list before either writes', async () => {
      const stalled = stallListing()
      const asking = acquireAs(slow)
      await stalled.reached
      const other = acquireAs(quick)
      stalled.goOn()
      const results = await Promise.allSettled([asking, other])
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    })

    it('is held by the first in order if both write before either lists again', async () => {
      const [first, second] = [stallListing(), stallListing()]
      // One listing for both: the lock that is refused may be gone before the other process looks.
      let both: Promise<string[]> | undefined
      const listBoth = (): Promise<string[]> =>
        (both ??= vi.waitFor(async () => {
          const names = (await readdir(folder)).sort()
          expect(names).toEqual(['.lock-a', '.lock-b'])
          return names
        }, 10_000))
      vi.mocked(namesIn).mockImplementationOnce(listBoth).mockImplementationOnce(listBoth)
      const asking = acquireAs(slow)
      await first.reached
      const other = acquireAs(quick)
      await second.reached
      first.goOn()
      second.goOn()
      const results = await Promise.allSettled([asking, other])
      expect(results.map(({ status }) => status)).toEqual(
        order === 'earlier' ? ['fulfilled', 'rejected'] : ['rejected', 'fulfilled'],
      )
    })
  })
})
