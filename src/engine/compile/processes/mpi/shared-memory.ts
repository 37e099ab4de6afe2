import { readFileSync } from 'node:fs'

/**
 * The files of the memory that MPICH and Open MPI share between processes of a machine. Those that are killed leave
 * them behind.
 */
export function sharedMemoryOf(pid: number | 'self' | undefined): string[] {
  try {
    return readFileSync(`/proc/${pid}/maps`, 'utf8').match(/\/dev\/shm\/(?:mpich_shm_|sm_segment\.)[\w.-]+/g) ?? []
  } catch {
    // The process has ended, or the system is not Linux.
    return []
  }
}
