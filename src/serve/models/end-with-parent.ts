import { Worker } from 'node:worker_threads'

const CHECK_MS = 100

/** Runs in a thread of its own, so that a long pass of the model does not delay it. */
const WATCH = `
  const { ppid, pid } = process
  setInterval(() => {
    if (process.ppid !== ppid) process.kill(pid, 'SIGKILL')
  }, ${CHECK_MS})`

/**
 * Ends this process as soon as the process that has forked it is gone, whatever this one computes. The closed channel
 * tells it between two passes of the model; the thread sees it at any time, by the new parent that the system gives to
 * processes without one. (Windows gives none: there the channel alone tells it.)
 */
export function endWithParent(): void {
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  new Worker(WATCH, { eval: true, execArgv: [], env: {} }).unref()
}
