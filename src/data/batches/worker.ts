import { parentPort, workerData } from 'node:worker_threads'
import { TrainIterator } from '../iterator.js'
import { openShared } from '../streams/shared-stream.js'
import { PREPARED_BATCHES } from './worker-messages.js'
import type { PreparedBatch, WorkerInput } from './worker-messages.js'

// The worker thread of `PrefetchedBatches`: it prepares batches until enough of them wait to be taken.
const { stream, options, state } = workerData as WorkerInput
const iterator = new TrainIterator(openShared(stream), options)
iterator.restore(state)

function prepare(): void {
  const batch = iterator.next()
  const message: PreparedBatch = { batch, state: iterator.state() }
  parentPort!.postMessage(
    message,
    Object.values(batch.features).map(({ data }) => data.buffer as ArrayBuffer),
  )
}

// A message says that a batch was taken.
parentPort!.on('message', prepare)
for (let i = 0; i < PREPARED_BATCHES; i++) prepare()
