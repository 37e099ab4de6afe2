import { rmSync } from 'node:fs'
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { FileError } from '../base/errors.js'
import { errorCode, namesIn, withPath } from './files.js'
import { isRunning, thisProcess } from './owner.js'

// A run's folder has one writer at a time: the process whose lock file `.lock-<n>` has the highest n. A lock whose process has
// ended is not removed and made again, which two processes could do at the same moment. Its successor is the file with the next
// number, which the operating system lets only one process create.

const lockName = /^\.lock-([1-9]\d{0,8})$/

const holderSchema = z.object({
  host: z.string(),
  pid: z.int().positive(),
  began: z.string().nullable(),
  since: z.string(),
})
type Holder = z.infer<typeof holderSchema>

/** The right to write into a run's folder. It ends with `release`, or with the process. */
export class RunLock {
  private readonly onExit = (): void => rmSync(this.path, { force: true })

  private constructor(
    readonly folder: string,
    private readonly path: string,
  ) {
    process.once('exit', this.onExit)
  }

  /** Makes the folder if there is none. Throws a FileError that names the process which holds it, if there is one. */
  static async acquire(folder: string): Promise<RunLock> {
    await withPath(folder, () => mkdir(folder, { recursive: true }))
    const numbers = await lockNumbers(folder)
    const latest = numbers.at(-1) ?? 0
    if (latest > 0) await refuseIfHeld(folder, latest)
    const path = lockPath(folder, latest + 1)
    if (!(await createLock(path))) {
      // Another process was faster.
      await refuseIfHeld(folder, latest + 1)
      return RunLock.acquire(folder)
    }
    for (const n of numbers) await rm(lockPath(folder, n), { force: true })
    return new RunLock(folder, path)
  }

  async release(): Promise<void> {
    process.off('exit', this.onExit)
    await rm(this.path, { force: true })
  }
}

/** Whether a process that still runs holds the folder, as far as this machine can tell. */
export async function isLocked(folder: string): Promise<boolean> {
  const latest = (await lockNumbers(folder)).at(-1)
  if (latest === undefined) return false
  const holder = await readHolder(lockPath(folder, latest))
  return holder !== undefined && (await isRunning(holder)) !== false
}

const lockPath = (folder: string, n: number): string => join(folder, `.lock-${n}`)

const lockNumbers = async (folder: string): Promise<number[]> =>
  (await namesIn(folder)).flatMap(name => Number(lockName.exec(name)?.[1] ?? [])).sort((a, b) => a - b)

/** False if the file is there already. */
async function createLock(path: string): Promise<boolean> {
  return withPath(path, async () => {
    try {
      const handle = await open(path, 'wx')
      try {
        await handle.writeFile(JSON.stringify({ ...(await thisProcess()), since: new Date().toISOString() }))
      } finally {
        await handle.close()
      }
      return true
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return false
      throw error
    }
  })
}

async function refuseIfHeld(folder: string, n: number): Promise<void> {
  const path = lockPath(folder, n)
  const holder = await readHolder(path)
  if (holder === undefined) return
  const running = await isRunning(holder)
  if (running === undefined) {
    throw new FileError(
      `${folder}: a process on the machine ${holder.host} (pid ${holder.pid}, since ${holder.since}) is training here. ` +
        `Wait for it to end; if it has crashed, remove ${path}`,
    )
  }
  if (running) {
    const who = holder.pid === process.pid ? 'this process' : 'another process'
    throw new FileError(
      `${folder}: ${who} (pid ${holder.pid}, since ${holder.since}) is training here: wait for it to end, or stop it (kill ${holder.pid} saves first)`,
    )
  }
}

/** A lock that is empty was just created, or its process crashed at that moment. It gets this long to be filled. */
const patienceMs = 10_000

/** Undefined for a lock that is gone or that a crash left empty. */
async function readHolder(path: string): Promise<Holder | undefined> {
  for (;;) {
    try {
      const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
      const parsed = holderSchema.safeParse(jsonOf(text))
      if (parsed.success) return parsed.data
      if (Date.now() - mtimeMs > patienceMs) return undefined
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
    await sleep(50)
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
