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
import type { PreparedBatch } from './worker-messages.js'

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
 * batches while the worker is not there yet, so that training does not wait for its start, and after it has failed.
 */
export class PrefetchedBatches implements BatchStream {
  secondsWaited = 0
  /** How many of the batches that `next` gave were prepared by a worker. */
  prepared = 0
  private worker: BatchWorker | undefined
  /** The batches that this thread has made since the worker started: it makes the same, and they are dropped. */
  private ahead = 0
  /** The last batch's position and counts, if the worker prepared it; undefined: those of `iterator`. */
  private last: Pick<PreparedBatch, 'state' | 'counts'> | undefined
  /** Whether a worker has failed: this thread makes all batches from then on. */
  private isAlone = false

  constructor(
    private readonly iterator: TrainIterator,
    private readonly stream: SharedStream,
    private readonly options: IteratorOptions,
    private readonly prefetch: PrefetchOptions = {},
  ) {}

  get skipped(): number {
    return (this.last?.counts ?? this.iterator).skipped
  }

  get truncated(): number {
    return (this.last?.counts ?? this.iterator).truncated
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
    return structuredClone(this.last?.state ?? this.iterator.state())
  }

  restore(saved: unknown): void {
    this.iterator.restore(saved)
    this.last = undefined
    void this.end()
  }

  async stop(): Promise<void> {
    this.returnToThisThread()
    await this.end()
  }

  private async take(): Promise<TrainBatch> {
    if (this.worker?.failure !== undefined) await this.goOnAlone(this.worker.failure)
    while (this.ahead > 0 && this.worker?.drop()) this.ahead--
    const follows = this.last !== undefined || (this.ahead === 0 && this.worker?.hasBatches === true)
    const prepared = follows ? await this.worker!.take() : undefined
    if (prepared !== undefined) {
      const { batch, state, counts } = prepared
      this.last = { state, counts }
      this.prepared++
      return batch
    }
    if (this.worker?.failure !== undefined) await this.goOnAlone(this.worker.failure)
    return this.makeBatch()
  }

  /** Makes a batch on this thread, and starts the worker at the position after it. */
  private makeBatch(): TrainBatch {
    const batch = this.iterator.next()
    if (this.worker !== undefined) this.ahead++
    else if (!this.isAlone && (this.stream.kind !== 'loaded' || this.secondsWaited >= this.loadedAfter)) {
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

  /** Makes the batches on this thread from now on. If the data is what failed, they fail here as well. */
  private async goOnAlone(reason: string): Promise<void> {
    noticeWork(
      `batches are prepared between the steps, because the worker thread that should prepare them cannot: ${reason}`,
    )
    this.isAlone = true
    this.returnToThisThread()
    await this.end()
  }

  /** Moves `iterator` to the position after the last batch. */
  private returnToThisThread(): void {
    if (this.last) this.iterator.restore(this.last.state)
    this.last = undefined
  }

  private async end(): Promise<void> {
    const { worker } = this
    this.worker = undefined
    this.ahead = 0
    await worker?.end()
  }
}
