import { Worker } from 'node:worker_threads'
import type { PreparedBatch, WorkerInput, WorkerMessage } from './worker-messages.js'

/**
 * A worker thread and the batches that it has prepared. It does not keep the process alive while nobody waits for it.
 */
export class BatchWorker {
  /** Why the worker prepares no more batches: it could not load the task, has thrown an error, or has ended. */
  failure: string | undefined
  private readonly worker: Worker
  private readonly ready: PreparedBatch[] = []
  private waiting: ((batch: PreparedBatch | undefined) => void) | undefined

  constructor(script: URL, input: WorkerInput) {
    this.worker = new Worker(script, { workerData: input })
    this.worker.unref()
    this.worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'unopened') this.fail(message.reason)
      else if (this.waiting) this.settle(message)
      else this.ready.push(message)
    })
    this.worker.on('error', ({ message }) => this.fail(message))
    this.worker.on('exit', code => this.fail(`it ended with code ${code}`))
  }

  get hasBatches(): boolean {
    return this.ready.length > 0
  }

  /** The next batch in order; undefined if the worker fails first. The worker prepares another in its place. */
  async take(): Promise<PreparedBatch | undefined> {
    const batch = this.ready.shift() ?? (this.failure === undefined ? await this.wait() : undefined)
    if (batch !== undefined) this.worker.postMessage('taken')
    return batch
  }

  /** Drops the next batch, if it is there. */
  drop(): boolean {
    if (this.ready.shift() === undefined) return false
    this.worker.postMessage('taken')
    return true
  }

  async end(): Promise<void> {
    await this.worker.terminate()
  }

  private wait(): Promise<PreparedBatch | undefined> {
    this.worker.ref()
    return new Promise(resolve => (this.waiting = resolve))
  }

  private settle(batch: PreparedBatch | undefined): void {
    const { waiting } = this
    this.waiting = undefined
    this.worker.unref()
    waiting?.(batch)
  }

  private fail(reason: string): void {
    this.failure ??= reason
    this.settle(undefined)
  }
}
