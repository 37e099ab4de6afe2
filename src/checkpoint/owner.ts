import { hostname } from 'node:os'
import { errorCode } from './files.js'

// The name of an unfinished file says who works on it, so that others can tell what a crash has left from what is still in use.

/** This machine, in the names of files. */
export const host = hostname().replace(/\W/g, '_').slice(0, 64) || 'host'

/** What nobody has touched for so long was left by a crash, whoever its owner was. */
const abandonedAfterMs = 60 * 60 * 1000

/** Whether the owner is a process that has ended. One on another machine cannot be asked for. */
export const hasEnded = (ownerHost: string, pid: number): boolean => ownerHost === host && !isAlive(pid)

/**
 * Whether a file whose owner may still live was left by a crash, by the time of its last change. The owner may be on another
 * machine, and a living process may have got the number of the one that crashed.
 */
export const isAbandoned = (changedMs: number): boolean => Date.now() - changedMs > abandonedAfterMs

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) !== 'ESRCH'
  }
}
