import { sizeOf, toNumbers } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { Bucket } from '../buckets/choose-buckets.js'
import { TrainIterator } from '../iterator.js'
import type { IteratorOptions } from '../iterator.js'
import type { PackedSize } from '../open-rows.js'
import { taskStream } from '../streams/task-stream.js'
import type { Task } from '../task.js'

/** So many batches are packed. */
const BATCHES = 20

/** How full the rows of training batches are. */
export interface PackingEfficiency {
  readonly examplesPerRow: number
  /** The share of a row's tokens that are not padding, on each side. */
  readonly inputs: number
  readonly targets: number
  /** How many examples are longer than a row, and left out. */
  readonly tooLong: number
  /** The sizes of batches with `buckets`; none if all have full rows. */
  readonly buckets: readonly Bucket[]
}

/** Packs the first batches of a training with these sizes and seed, and measures them. */
export function packingOf(
  task: Task,
  size: PackedSize & Pick<IteratorOptions, 'buckets'>,
  seed: number,
): PackingEfficiency {
  const options = { ...size, seed }
  const iterator = new TrainIterator(taskStream(task, options), options)
  let examples = 0
  let inputs = 0
  let targets = 0
  let inputPositions = 0
  let targetPositions = 0
  for (let batch = 0; batch < BATCHES; batch++) {
    const { features, examples: count } = iterator.next()
    examples += count
    inputs += filled(features.encoder_segment_ids)
    targets += filled(features.decoder_segment_ids)
    inputPositions += sizeOf(features.encoder_segment_ids.shape)
    targetPositions += sizeOf(features.decoder_segment_ids.shape)
  }
  const rows = BATCHES * size.rows
  return {
    examplesPerRow: examples / rows,
    inputs: inputs / inputPositions,
    targets: targets / targetPositions,
    buckets: iterator.buckets ?? [],
    tooLong: iterator.skipped,
  }
}

/** How many positions belong to an example. */
const filled = (segmentIds: HostTensor): number => toNumbers(segmentIds).filter(id => id > 0).length
