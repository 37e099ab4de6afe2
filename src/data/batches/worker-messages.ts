import type { IteratorOptions, IteratorState, TrainBatch } from '../iterator.js'
import type { SharedStream } from '../streams/shared-stream.js'

/** What the worker thread begins with. */
export interface WorkerInput {
  readonly stream: SharedStream
  readonly options: IteratorOptions
  readonly state: IteratorState
}

/** A batch, and the iterator's position after it. */
export interface PreparedBatch {
  readonly batch: TrainBatch
  readonly state: IteratorState
}

/** So many batches are prepared ahead. */
export const PREPARED_BATCHES = 4
