import type { PackedFeatures } from '../data/converters/batch.js'
import { spreadExamples } from '../data/dataset.js'
import { packBatch } from '../data/open-rows.js'
import type { PackedSize } from '../data/open-rows.js'
import type { SplitName } from '../data/example.js'
import type { Task } from '../data/task.js'

export interface PackedSplitOptions extends PackedSize {
  /** The seed of random preprocessors. */
  readonly seed: number
  /** How many examples, spread evenly over the split; null: all. */
  readonly limit: number | null
}

/** The examples of a split that fit a row, in their order, as packed batches: to measure a model on. */
export function packedSplit(task: Task, split: SplitName, options: PackedSplitOptions): PackedFeatures[] {
  const { rows, inputLength, targetLength, specialIds, targetEos, seed, limit } = options
  const all = task.tokens(split, { lengths: { inputs: inputLength, targets: targetLength }, seed })
  const examples = spreadExamples(all, limit ?? all.length).filter(
    ({ inputs, targets }) => inputs.length <= inputLength && targets.length <= targetLength,
  )
  const batches: PackedFeatures[] = []
  for (let rest = examples; rest.length > 0;) {
    const packed = packBatch(rest, { rows, inputLength, targetLength, specialIds, targetEos })
    batches.push(packed.features)
    rest = packed.rest
  }
  return batches
}
