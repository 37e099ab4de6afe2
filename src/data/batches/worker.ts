import { parentPort, workerData } from 'node:worker_threads'
import { TrainIterator } from '../iterator.js'
import { openShared } from '../streams/shared-stream.js'
import { PREPARED_BATCHES } from './worker-messages.js'
import type { WorkerInput, WorkerMessage } from './worker-messages.js'

// The worker thread of `PrefetchedBatches`: it prepares batches until enough of them wait to be taken.
const { stream, options, state } = workerData as WorkerInput
const send = (message: WorkerMessage, moved: ArrayBuffer[] = []): void => parentPort!.postMessage(message, moved)

async function open(): Promise<TrainIterator | undefined> {
  try {
    const iterator = new TrainIterator(await openShared(stream), options)
    iterator.restore(state)
    return iterator
  } catch (error) {
    send({ kind: 'unopened', reason: (error as Error).message })
    return undefined
  }
}

function prepare(iterator: TrainIterator): void {
  const batch = iterator.next()
  const { skipped, truncated } = iterator
  send(
    { kind: 'batch', batch, state: iterator.state(), counts: { skipped, truncated } },
    Object.values(batch.features).map(({ data }) => data.buffer as ArrayBuffer),
  )
}

const iterator = await open()
if (iterator !== undefined) {
  // A message says that a batch was taken.
  parentPort!.on('message', () => prepare(iterator))
  for (let i = 0; i < PREPARED_BATCHES; i++) prepare(iterator)
}
