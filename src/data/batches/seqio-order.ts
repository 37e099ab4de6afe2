import { mapDataset } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import { mixDatasets } from '../mixing/mix-datasets.js'
import type { PackedSize } from '../open-rows.js'
import type { TokenFields } from '../packing/segments.js'
import { seqioPipeline } from '../pipeline.js'
import type { Feature, Fields } from '../preprocessor.js'
import type { SeqioOptions, Task } from '../task.js'
import { SeqioBatches } from './seqio-batches.js'
import type { BatchStream } from './stream.js'

/**
 * A task's training examples in SeqIO's own order, endlessly: repeated, preprocessed with seeds that go on over the
 * epochs, trimmed to the rows' lengths and shuffled in a buffer. A mixture draws from its tasks' examples.
 */
export function seqioExamples(task: Task, options: SeqioOptions): Dataset<TokenFields> {
  if (task.members)
    return mixDatasets(
      task.members.map(member => seqioExamples(member.task, options)),
      task.members.map(member => member.rate),
      options.seed,
    )
  if (task.seqioExamples) return task.seqioExamples('train', options)
  // A task without preprocessors: its tokens are the examples.
  const tokens = mapDataset(task.tokens('train'), ({ inputs, targets }): Fields => ({ inputs, targets }))
  const whole = { ...options, preprocessors: [], features: featuresOf(task), epochs: null }
  return seqioPipeline(tokens, whole) as Dataset<TokenFields>
}

/** The batches of a task's examples in SeqIO's order, packed as SeqIO packs them. A buffer of 0 does not shuffle. */
export function seqioBatches(
  task: Task,
  { shuffleBuffer, ...size }: PackedSize & { readonly seed: number; readonly shuffleBuffer: number },
): BatchStream {
  const lengths = { inputs: size.inputLength, targets: size.targetLength }
  const shuffleBufferSize = shuffleBuffer === 0 ? null : shuffleBuffer
  const examples = seqioExamples(task, { lengths, seed: size.seed, shuffleBufferSize })
  // The examples have gone through the pipeline already.
  return new SeqioBatches(examples, { ...size, preprocessors: [], features: featuresOf(task), cache: same => same })
}

const featuresOf = ({ codec }: Task): Record<string, Feature> => ({
  inputs: { vocabulary: codec.inputs },
  targets: { vocabulary: codec.targets },
})
