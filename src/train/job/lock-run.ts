import { RunLock } from '../../checkpoint/run-lock.js'
import type { HeldLock } from '../../checkpoint/run-lock.js'
import { currentJob } from './job.js'

/** The lock of a run's folder, which the first process of a job holds for all. */
export const lockRun = async (folder: string): Promise<HeldLock> =>
  currentJob().isFirst ? RunLock.acquire(folder) : { folder, release: async () => undefined }
