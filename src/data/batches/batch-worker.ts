import { Worker } from 'node:worker_threads'
import { SwitchyardError } from '../../base/errors.js'
import type { PreparedBatch, WorkerInput, WorkerMessage } from './worker-messages.js'

/**
 * A worker thread and the batches that it has prepared. It does not keep the process alive while nobody waits for it.
 */
export class BatchWorker {
  /** Why the worker cannot prepare batches at all: it could not load the task, or ended while it did. */
  unopened: string | undefined
  /** Whether a failure before the first batch is one of loading the task, which this thread has loaded already. */
  private isLoading: boolean
  private readonly worker: Worker
  private readonly ready: PreparedBatch[] = []
  private waiting: { resolve: (batch: PreparedBatch) => void; reject: (error: Error) => void } | undefined
  private failure: Error | undefined

  constructor(script: URL, input: WorkerInput) {
    this.isLoading = input.stream.kind === 'loaded'
    this.worker = new Worker(script, { workerData: input })
    this.worker.unref()
    this.worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'unopened') {
        this.unopened = message.reason
        return
      }
      this.isLoading = false
      if (this.waiting) this.settle(({ resolve }) => resolve(message))
      else this.ready.push(message)
    })
    this.worker.on('error', error => this.fail(error))
    this.worker.on('exit', code => this.fail(new Error(`it ended with code ${code}`)))
  }

  get hasBatches(): boolean {
    return this.ready.length > 0
  }

  /** The next batch in order. The worker prepares another in its place. */
  async take(): Promise<PreparedBatch> {
    const batch = this.ready.shift() ?? (await this.wait())
    this.worker.postMessage('taken')
    return batch
  }

  /** Drops the next batch, if it is there. */
  drop(): boolean {
    if (this.ready.shift() === undefined) return false
    this.worker.postMessage('taken')
    return true
  }

  /** Throws the error with which the worker has failed, if it has. */
  check(): void {
    if (this.failure && this.unopened === undefined) throw this.failure
  }

  async end(): Promise<void> {
    await this.worker.terminate()
  }

  private wait(): Promise<PreparedBatch> {
    if (this.failure) return Promise.reject(this.failure)
    this.worker.ref()
    return new Promise((resolve, reject) => (this.waiting = { resolve, reject }))
  }

  private settle(how: (waiting: NonNullable<BatchWorker['waiting']>) => void): void {
    const { waiting } = this
    this.waiting = undefined
    this.worker.unref()
    if (waiting) how(waiting)
  }

  private fail(cause: Error): void {
    if (this.isLoading) this.unopened ??= cause.message
    this.failure ??= new SwitchyardError(`the thread that prepares batches has failed: ${cause.message}`, { cause })
    this.settle(({ reject }) => reject(this.failure!))
  }
}
