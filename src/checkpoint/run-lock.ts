import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { FileError } from '../base/errors.js'
import { writeFileAtomically } from './atomic.js'
import { errorCode, namesIn, withPath } from './files.js'
import { isRunning, thisProcess } from './owner.js'

// A run's folder has one writer at a time. A process that wants the folder writes a lock file with a new random name,
// and then lists the folder again. It holds the folder if it finds no other lock of a process that runs. Of two
// processes at the same moment, at least the one that lists later sees both locks. If both do, the lock whose name
// sorts first stays, and its process waits until the other lock is gone. Names are never used twice, so a lock left by
// a process that has ended can be removed at any time without removing a newer one.

const lockName = /^\.lock-[\w-]+$/

const ownerSchema = z.object({
  host: z.string(),
  pid: z.int().positive(),
  began: z.string().nullable(),
  since: z.string(),
})

/** A lock file of a process that runs. */
interface Lock extends z.infer<typeof ownerSchema> {
  readonly name: string
  /** False: the process is on another machine, and this one cannot tell whether it has crashed. */
  readonly isHere: boolean
}

/** How long a process waits for another to give up a lock made at the same moment. */
const patienceMs = 10_000

/** What holds a run's folder for its user. */
export type HeldLock = Pick<RunLock, 'folder' | 'release'>

/** An exclusive lock on a run's folder, held until `release` or until the process ends. */
export class RunLock {
  private readonly onExit = (): void => rmSync(this.path, { force: true })

  private constructor(
    readonly folder: string,
    private readonly path: string,
  ) {
    process.once('exit', this.onExit)
  }

  /**
   * Locks the folder, which is created if necessary. Throws a FileError that names the process that holds the lock, if
   * any.
   */
  static async acquire(folder: string): Promise<RunLock> {
    const name = `.lock-${randomUUID()}`
    await withPath(folder, () => mkdir(folder, { recursive: true }))
    const [holder] = await locksIn(folder)
    if (holder !== undefined) throw held(folder, holder)
    const path = join(folder, name)
    const text = JSON.stringify({ ...(await thisProcess()), since: new Date().toISOString() })
    try {
      await writeFileAtomically(path, handle => handle.writeFile(text))
      await outlastOthers(folder, name)
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
    return new RunLock(folder, path)
  }

  async release(): Promise<void> {
    process.off('exit', this.onExit)
    await rm(this.path, { force: true })
  }
}

/** Whether a process that still runs holds the folder, as far as this machine can tell. */
export const isLocked = async (folder: string): Promise<boolean> => (await locksIn(folder)).length > 0

/** Resolves when the lock with this name is the only one. Throws if another one holds the folder or sorts before it. */
async function outlastOthers(folder: string, name: string): Promise<void> {
  for (const end = performance.now() + patienceMs; ;) {
    const others = (await locksIn(folder)).filter(lock => lock.name !== name)
    if (others.length === 0) return
    const isFirst = others.every(other => name < other.name)
    if (!isFirst || performance.now() > end) throw held(folder, others[0])
    await sleep(20)
  }
}

/** The locks in a folder whose processes run. The others are removed. */
async function locksIn(folder: string): Promise<Lock[]> {
  const locks: Lock[] = []
  for (const name of await namesIn(folder)) {
    if (!lockName.test(name)) continue
    const path = join(folder, name)
    const owner = await readOwner(path)
    const running = owner === undefined ? false : await isRunning(owner)
    if (owner === undefined || running === false) await rm(path, { force: true })
    else locks.push({ ...owner, name, isHere: running === true })
  }
  return locks
}

/** Undefined for a lock that is gone or damaged. */
async function readOwner(path: string): Promise<z.infer<typeof ownerSchema> | undefined> {
  try {
    return ownerSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

function held(folder: string, { name, host, pid, since, isHere }: Lock): FileError {
  if (!isHere)
    return new FileError(
      `${folder}: a process on the machine ${host} (pid ${pid}, since ${since}) is training here. ` +
        `Wait for it to end; if it has crashed, remove ${join(folder, name)}`,
    )
  const who = pid === process.pid ? 'this process' : 'another process'
  return new FileError(
    `${folder}: ${who} (pid ${pid}, since ${since}) is training here: wait for it to end, or stop it (kill ${pid} saves first)`,
  )
}
