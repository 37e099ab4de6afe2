import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { promisify } from 'node:util'
import { errorCode } from './files.js'

// Unfinished files and locks name the process that works on them. From that name another process tells whether the owner still
// runs or a crash has left the file behind.

/** This machine's name, reduced to letters, digits and underscores so that it can be part of a file name. */
export const host = hostname().replace(/\W/g, '_').slice(0, 64) || 'host'

/** A process, recognizable from other processes. */
export interface Owner {
  readonly host: string
  readonly pid: number
  /** When the process began, in the operating system's words: a later process with the same pid has another. Null: unknown. */
  readonly began: string | null
}

/** The owner that this process is. */
export const thisProcess = async (): Promise<Owner> => ({
  host,
  pid: process.pid,
  began: await beginOf(process.pid),
})

/** Whether an owner still runs. Undefined: it is on another machine, so nobody here can tell. */
export async function isRunning({ host: ownerHost, pid, began }: Owner): Promise<boolean | undefined> {
  if (ownerHost !== host) return undefined
  if (!isAlive(pid)) return false
  const now = began === null ? null : await beginOf(pid)
  return now === null || now === began
}

/** A file whose owner cannot be asked counts as left by a crash if it has not changed for this long. */
const abandonedAfterMs = 60 * 60 * 1000

/** Whether the owner was a process of this machine that has ended. */
export const hasEnded = (ownerHost: string, pid: number): boolean => ownerHost === host && !isAlive(pid)

/**
 * Whether a file was left by a crash, judged by the time of its last change. For owners on other machines, and for pids that
 * may belong to another process by now.
 */
export const isAbandoned = (changedMs: number): boolean => Date.now() - changedMs > abandonedAfterMs

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    return errorCode(error) !== 'ESRCH'
  }
}

/** When a process began; null if the operating system does not say. */
async function beginOf(pid: number): Promise<string | null> {
  try {
    if (process.platform === 'linux') {
      // See proc(5): the name in parentheses may hold spaces; the 20th field after it is the start in clock ticks since the boot.
      const [stat, boot] = await Promise.all([
        readFile(`/proc/${pid}/stat`, 'utf8'),
        readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      ])
      const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
      return `${boot.trim()} ${ticks}`
    }
    if (process.platform === 'win32') return null
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { LC_ALL: 'C' } })
    return stdout.trim() || null
  } catch {
    return null
  }
}
