import type { IteratorOptions, IteratorState, TrainBatch, TrainIterator } from '../iterator.js'
import type { SharedStream } from '../streams/shared-stream.js'

/** What the worker thread begins with. */
export interface WorkerInput {
  readonly stream: SharedStream
  readonly options: IteratorOptions
  readonly state: IteratorState
}

/** What the worker thread sends: batches, or why it can prepare none. */
export type WorkerMessage = PreparedBatch | { readonly kind: 'unopened'; readonly reason: string }

/** A batch, and the iterator's position after it. */
export interface PreparedBatch {
  readonly kind: 'batch'
  readonly batch: TrainBatch
  readonly state: IteratorState
  /** The iterator's counts after the batch. */
  readonly counts: Pick<TrainIterator, 'skipped' | 'truncated'>
}

/** So many batches are prepared ahead. */
export const PREPARED_BATCHES = 4
