import type { IteratorState, TrainBatch, TrainIterator } from '../iterator.js'

/** An endless sequence of training batches, which may be prepared ahead in a worker thread. */
export interface BatchStream {
  /** How many examples are longer than a row, and therefore left out; and how many were truncated. */
  readonly skipped: number
  readonly truncated: number
  /** How long `next` has kept its callers waiting, in seconds, all calls together. */
  readonly secondsWaited: number
  /** The next batch. Its arrays are new, so the caller may change them. One call at a time. */
  next(): Promise<TrainBatch>
  /** The position after the last batch that `next` has given, as plain JSON. */
  state(): IteratorState
  /** Moves to a saved position. The value may come from a file: a ConfigError says what is wrong with it. */
  restore(saved: unknown): void
  /** Ends the worker thread, if there is one. The next call of `next` starts it again, at the same position. */
  stop(): Promise<void>
}

/** A stream whose batches are made on this thread when they are asked for. */
export class LocalBatches implements BatchStream {
  secondsWaited = 0

  constructor(private readonly iterator: TrainIterator) {}

  get skipped(): number {
    return this.iterator.skipped
  }

  get truncated(): number {
    return this.iterator.truncated
  }

  next(): Promise<TrainBatch> {
    const start = performance.now()
    const batch = this.iterator.next()
    this.secondsWaited += (performance.now() - start) / 1000
    return Promise.resolve(batch)
  }

  state(): IteratorState {
    return this.iterator.state()
  }

  restore(saved: unknown): void {
    this.iterator.restore(saved)
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }
}
