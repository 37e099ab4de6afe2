import { HASH_SEED, hashStep, mix32 } from '../../base/hash.js'
import { mapDataset, storedOf } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import { mixDatasets } from '../mixing/mix-datasets.js'
import type { PackedSize } from '../open-rows.js'
import type { TokenFields } from '../packing/segments.js'
import { seqioPipeline } from '../pipeline.js'
import type { Feature, Fields } from '../preprocessor.js'
import { storeFields } from '../streams/field-store.js'
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
  const tokens = mapDataset(storedOf(task.tokens('train')), ({ inputs, targets }): Fields => ({ inputs, targets }))
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
  const whole = { preprocessors: [], features: featuresOf(task), content: contentOf(task, lengths) }
  // The examples have gone through the pipeline already.
  return new SeqioBatches(examples, { ...size, ...whole, cache: same => same })
}

/** A hash of all that a task's training examples are made from. */
function contentOf(task: Task, lengths: SeqioOptions['lengths']): number {
  if (task.members)
    return mix32(task.members.reduce((hash, m) => hashStep(hash, contentOf(m.task, lengths)), HASH_SEED))
  if (task.contentHash) return task.contentHash({ lengths })
  const tokens = storedOf(task.tokens('train', { lengths }))
  return storeFields(mapDataset(tokens, ({ inputs, targets }) => ({ inputs, targets }))).hash?.() ?? 0
}

const featuresOf = ({ codec }: Task): Record<string, Feature> => ({
  inputs: { vocabulary: codec.inputs },
  targets: { vocabulary: codec.targets },
})
