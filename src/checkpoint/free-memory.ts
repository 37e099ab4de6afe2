import { readFileSync } from 'node:fs'
import { freemem } from 'node:os'
import { formatBytes } from '../base/format.js'

/** What the operating system says about memory, in bytes. */
export interface MemoryReadings {
  /** Free memory of the machine. On Linux this counts the file cache that can be given up. */
  readonly machine: number
  /** The limit of this process's container (its cgroup); 0 or more than the machine has: there is none. */
  readonly limit: number
  /** Node's estimate of what is left: in a container, the limit minus all that is in use, file cache included. */
  readonly available: number
  /** The container's file cache, which the system gives up when a program needs memory. */
  readonly fileCache: number
  /** The memory that this process has. */
  readonly resident: number
}

/** Set to "off", this environment variable makes checks of memory pass. */
const SWITCH = 'SWITCHYARD_MEMORY_CHECK'

/** The bytes of memory that this process can still take. Infinity if SWITCHYARD_MEMORY_CHECK is "off". */
export const freeMemory = (): number => (process.env[SWITCH] === 'off' ? Infinity : freeOf(readMemory()))

/** The free memory by these readings: the machine's, or what the container's limit leaves if that is less. */
export function freeOf({ machine, limit, available, fileCache, resident }: MemoryReadings): number {
  if (limit <= 0) return Math.max(machine, available)
  const used = Math.max(limit - available - fileCache, resident)
  return Math.max(0, Math.min(Math.max(machine, available), limit - used))
}

/**
 * An error message if a task needs more memory than is free, otherwise undefined. `advice` says what to do, given the
 * free bytes.
 */
export function memoryProblem(
  task: string,
  needed: number,
  advice: (free: number) => string,
  free = freeMemory(),
): string | undefined {
  if (needed <= free) return undefined
  return (
    `${task} takes about ${formatBytes(needed)} of memory, and ${formatBytes(free)} are free: ${advice(free)}. ` +
    `To try it anyway, set the environment variable ${SWITCH}=off`
  )
}

const readMemory = (): MemoryReadings => ({
  machine: freemem(),
  limit: process.constrainedMemory(),
  available: process.availableMemory(),
  fileCache: fileCacheOf(statistics()),
  resident: process.memoryUsage.rss(),
})

/** The statistics of this process's cgroup, of version 2 or 1; empty if there is none. */
function statistics(): string {
  for (const path of ['/sys/fs/cgroup/memory.stat', '/sys/fs/cgroup/memory/memory.stat'])
    try {
      return readFileSync(path, 'utf8')
    } catch {
      // Not Linux, or the other version.
    }
  return ''
}

/** The bytes of file cache in a cgroup's memory.stat. */
export function fileCacheOf(text: string): number {
  const fields = [...text.matchAll(/^(?:active_file|inactive_file) (\d+)$/gm)]
  return fields.reduce((sum, [, bytes]) => sum + Number(bytes), 0)
}
