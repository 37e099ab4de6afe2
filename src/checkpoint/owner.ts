import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { promisify } from 'node:util'
import { errorCode } from './files.js'

// The names of unfinished files and locks contain the process that owns them. From the name, other processes tell
// whether the owner is still running or has crashed.

/** This machine's name, reduced to letters, digits and underscores so that it can be part of a file name. */
export const host = hostname().replace(/\W/g, '_').slice(0, 64) || 'host'

/** Identifies a process to other processes. */
export interface Owner {
  readonly host: string
  readonly pid: number
  /**
   * The start time of the process, as the operating system prints it. It differs for a later process with the same pid.
   * null if unknown.
   */
  readonly began: string | null
}

/** This process as an owner. */
export const thisProcess = async (): Promise<Owner> => ({
  host,
  pid: process.pid,
  began: await beginOf(process.pid),
})

/** Whether an owner still runs. Undefined: it is on another machine, so this machine cannot tell. */
export async function isRunning({ host: ownerHost, pid, began }: Owner): Promise<boolean | undefined> {
  if (ownerHost !== host) return undefined
  if (!(await exists(pid))) return false
  const now = began === null ? null : await beginOf(pid)
  return now === null || now === began
}

/** If an owner cannot be checked, its file counts as abandoned when it has not changed for this long. */
const abandonedAfterMs = 60 * 60 * 1000

/** Whether the owner was a process of this machine that has ended. */
export const hasEnded = async (ownerHost: string, pid: number): Promise<boolean> =>
  ownerHost === host && !(await exists(pid))

/**
 * Whether a file was left by a crash, judged by the time of its last change. For owners on other machines, and for pids
 * that may belong to another process by now.
 */
export const isAbandoned = (changedMs: number): boolean => Date.now() - changedMs > abandonedAfterMs

/**
 * Whether a process with this pid runs. A zombie has ended: it keeps its pid only until its parent asks for its exit
 * code, and some containers have a first process that never does.
 */
async function exists(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    if (errorCode(error) === 'ESRCH') return false
  }
  // Z: a zombie. X: dead, about to disappear.
  return !/^[ZX]/.test((await statusOf(pid))?.state ?? '')
}

const beginOf = async (pid: number): Promise<string | null> => (await statusOf(pid))?.began ?? null

interface Status {
  /** One letter for the process's state, perhaps with letters of detail behind it: see ps(1). */
  readonly state: string
  readonly began: string
}

/** Null if the operating system does not say. */
async function statusOf(pid: number): Promise<Status | null> {
  try {
    if (process.platform === 'linux') return await statusOnLinux(pid)
    if (process.platform === 'win32') return null
    const columns = ['-o', 'stat=', '-o', 'lstart=']
    const { stdout } = await promisify(execFile)('ps', [...columns, '-p', String(pid)], { env: { LC_ALL: 'C' } })
    const [, state, began] = /^\s*(\S+)\s+(.*\S)/.exec(stdout)!
    return { state, began }
  } catch {
    return null
  }
}

async function statusOnLinux(pid: number): Promise<Status> {
  const [stat, boot] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
  ])
  // See proc(5). The program's name, in parentheses, may hold spaces. After it come the state and, as the 20th field,
  // the start in clock ticks since the boot.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0], began: `${boot.trim()} ${fields[19]}` }
}
