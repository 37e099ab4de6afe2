import type { Dataset } from '../dataset.js'
import type { TokenExample } from '../features.js'
import { saveCodec } from '../task.js'
import type { Task } from '../task.js'
import { loaderOf } from '../task-loader.js'
import { DrawnEpochs } from './drawn-epochs.js'
import type { ExampleStream, Reload, StreamOptions } from './example-stream.js'
import { MixedStream } from './mixed-stream.js'
import { StoredEpochs, storeExamples } from './stored-epochs.js'

/**
 * A task's training examples in random order, epoch after epoch. Examples that are the same in every epoch are encoded
 * once and stored; random ones are drawn anew in each epoch. A mixture draws from its tasks' streams;
 * with a shard, each of them is sharded, and all hosts draw from the same task.
 */
export function taskStream(task: Task, options: StreamOptions): ExampleStream {
  const { seed, inputLength, targetLength, shard } = options
  if (task.members)
    return new MixedStream(
      task.members.map(member => taskStream(member.task, options)),
      task.members.map(member => member.rate),
      seed,
      reloadOf(task, options),
    )
  const lengths = { inputs: inputLength, targets: targetLength }
  if (task.isRandom) {
    const makeEpoch = (epochSeed: number): Dataset<TokenExample> => task.tokens('train', { lengths, seed: epochSeed })
    return new DrawnEpochs(makeEpoch, options, {
      content: task.contentHash?.({ lengths }),
      reload: reloadOf(task, options),
      name: task.name,
    })
  }
  return new StoredEpochs(storeExamples(task.tokens('train', { lengths, seed }), options), seed, shard)
}

/** How another thread makes a stream of this task; undefined if it cannot load the task. */
function reloadOf(task: Task, options: StreamOptions): Reload | undefined {
  const loader = loaderOf(task)
  return loader && { loader, codec: saveCodec(task), options }
}
