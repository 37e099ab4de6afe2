import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { noticeWork } from '../long-work.js'
import { TrainIterator } from '../iterator.js'
import type { IteratorOptions, IteratorState, TrainBatch } from '../iterator.js'
import type { ExampleStream } from '../streams/example-stream.js'
import { shareStream } from '../streams/shared-stream.js'
import type { SharedStream } from '../streams/shared-stream.js'
import { BatchWorker } from './batch-worker.js'
import { LocalBatches } from './stream.js'
import type { BatchStream } from './stream.js'

/** The compiled worker. It is missing where TypeScript runs without a build, as in unit tests. */
const WORKER = new URL('./worker.js', import.meta.url)

/**
 * The batches of a stream. If a worker thread can have the stream's tokens or load its task, the batches are prepared
 * there, a few ahead, so that training does not wait for them; others are prepared on this thread. They are the same.
 */
export function batchStream(stream: ExampleStream, options: IteratorOptions): BatchStream {
  const shared = existsSync(fileURLToPath(WORKER)) ? shareStream(stream) : undefined
  const iterator = new TrainIterator(stream, options)
  return shared ? new PrefetchedBatches(iterator, shared, options) : new LocalBatches(iterator)
}

/**
 * A worker that has to load the task first takes a second or more, and memory for its data. It is started when this
 * thread has spent so many seconds on batches: a run of a few steps never needs it.
 */
const LOADED_AFTER_SECONDS = 2

export interface PrefetchOptions {
  readonly script?: URL
  readonly loadedAfterSeconds?: number
}

/**
 * Batches that a worker thread prepares. They are those of `iterator`, which checks saved positions and makes the
 * batches while the worker is not there yet, so that training does not wait for its start.
 */
export class PrefetchedBatches implements BatchStream {
  secondsWaited = 0
  /** How many of the batches that `next` gave were prepared by a worker. */
  prepared = 0
  private worker: BatchWorker | undefined
  /** The batches that this thread has made since the worker started: it makes the same, and they are dropped. */
  private ahead = 0
  /** The position after the last batch that the worker prepared and `next` gave; undefined: that of `iterator`. */
  private position: IteratorState | undefined
  /** Whether the worker could not load the task. */
  private isAlone = false

  constructor(
    private readonly iterator: TrainIterator,
    private readonly stream: SharedStream,
    private readonly options: IteratorOptions,
    private readonly prefetch: PrefetchOptions = {},
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
      return await this.take()
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

  private async take(): Promise<TrainBatch> {
    const { worker } = this
    if (worker?.unopened !== undefined) {
      noticeWork(
        `batches are prepared between the steps, because the worker thread that should prepare them cannot: ${worker.unopened}`,
      )
      this.isAlone = true
      await this.end()
    }
    while (this.ahead > 0 && this.worker?.drop()) this.ahead--
    const follows = this.position !== undefined || (this.ahead === 0 && this.worker?.hasBatches === true)
    if (follows) {
      const { batch, state } = await this.worker!.take()
      this.position = state
      this.prepared++
      return batch
    }
    return this.makeBatch()
  }

  /** Makes a batch on this thread, and starts the worker at the position after it. */
  private makeBatch(): TrainBatch {
    const batch = this.iterator.next()
    if (this.worker !== undefined) {
      this.worker.check()
      this.ahead++
    } else if (!this.isAlone && (this.stream.kind !== 'loaded' || this.secondsWaited >= this.loadedAfter)) {
      this.worker = new BatchWorker(this.prefetch.script ?? WORKER, {
        stream: this.stream,
        options: this.options,
        state: this.iterator.state(),
      })
      this.ahead = 0
    }
    return batch
  }

  private get loadedAfter(): number {
    return this.prefetch.loadedAfterSeconds ?? LOADED_AFTER_SECONDS
  }

  private async end(): Promise<void> {
    const { worker } = this
    this.worker = undefined
    await worker?.end()
  }
}
