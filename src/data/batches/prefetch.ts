import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { SwitchyardError } from '../../base/errors.js'
import { TrainIterator } from '../iterator.js'
import type { IteratorOptions, IteratorState, TrainBatch } from '../iterator.js'
import type { ExampleStream } from '../streams/example-stream.js'
import { shareStream } from '../streams/shared-stream.js'
import type { SharedStream } from '../streams/shared-stream.js'
import { LocalBatches } from './stream.js'
import type { BatchStream } from './stream.js'
import type { PreparedBatch, WorkerInput } from './worker-messages.js'

/** The compiled worker. It is missing where TypeScript runs without a build, as in unit tests. */
const WORKER = new URL('./worker.js', import.meta.url)

/**
 * The batches of a stream. A stream that can be shared with a worker thread is prepared there, a few batches ahead, so
 * that training does not wait for it; others are prepared on this thread.
 */
export function batchStream(stream: ExampleStream, options: IteratorOptions): BatchStream {
  const shared = existsSync(fileURLToPath(WORKER)) ? shareStream(stream) : undefined
  const iterator = new TrainIterator(stream, options)
  return shared ? new PrefetchedBatches(iterator, shared, options) : new LocalBatches(iterator)
}

/**
 * Batches that a worker thread prepares. They are those of `iterator`, which checks saved positions and makes the first
 * batch after the beginning, a restore or a stop, while the worker starts.
 */
export class PrefetchedBatches implements BatchStream {
  secondsWaited = 0
  private worker: BatchWorker | undefined
  /** The position after the last batch that the worker prepared and `next` gave; undefined: that of `iterator`. */
  private position: IteratorState | undefined

  constructor(
    private readonly iterator: TrainIterator,
    private readonly stream: SharedStream,
    private readonly options: IteratorOptions,
    private readonly script = WORKER,
  ) {}

  get skipped(): number {
    return this.iterator.skipped
  }

  get truncated(): number {
    return this.iterator.truncated
  }

  async next(): Promise<TrainBatch> {
    const start = performance.now()
    try {
      if (this.worker === undefined) return this.first()
      const { batch, state } = await this.worker.take()
      this.position = state
      return batch
    } finally {
      this.secondsWaited += (performance.now() - start) / 1000
    }
  }

  state(): IteratorState {
    return structuredClone(this.position ?? this.iterator.state())
  }

  restore(saved: unknown): void {
    this.iterator.restore(saved)
    this.position = undefined
    void this.end()
  }

  async stop(): Promise<void> {
    if (this.position) this.iterator.restore(this.position)
    this.position = undefined
    await this.end()
  }

  /** Makes one batch on this thread, and starts the worker at the position after it. */
  private first(): TrainBatch {
    const batch = this.iterator.next()
    this.worker = new BatchWorker(this.script, {
      stream: this.stream,
      options: this.options,
      state: this.iterator.state(),
    })
    return batch
  }

  private async end(): Promise<void> {
    const { worker } = this
    this.worker = undefined
    await worker?.end()
  }
}

/**
 * A worker thread and the batches that it has prepared. It does not keep the process alive while nobody waits for it.
 */
class BatchWorker {
  private readonly worker: Worker
  private readonly ready: PreparedBatch[] = []
  private waiting: { resolve: (batch: PreparedBatch) => void; reject: (error: Error) => void } | undefined
  private failure: Error | undefined

  constructor(script: URL, input: WorkerInput) {
    this.worker = new Worker(script, { workerData: input })
    this.worker.unref()
    this.worker.on('message', (batch: PreparedBatch) => {
      if (this.waiting) this.settle(({ resolve }) => resolve(batch))
      else this.ready.push(batch)
    })
    this.worker.on('error', error => this.fail(error))
    this.worker.on('exit', code => this.fail(new Error(`it ended with code ${code}`)))
  }

  /** The next batch in order. The worker prepares another in its place. */
  async take(): Promise<PreparedBatch> {
    const batch = this.ready.shift() ?? (await this.wait())
    this.worker.postMessage('taken')
    return batch
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
    this.failure ??= new SwitchyardError(`the thread that prepares batches has failed: ${cause.message}`, { cause })
    this.settle(({ reject }) => reject(this.failure!))
  }
}
