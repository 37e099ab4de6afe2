import { ConfigError } from '../base/errors.js'
import { tokenize } from '../data/features.js'
import type { Task } from '../data/task.js'
import { recipes } from './recipes.js'
import { sizesFor } from './sizes.js'
import type { RunConfig } from '../train/config.js'

const passes = { epochs: 20, fewestSteps: 300, mostSteps: 2400 }

/**
 * A configuration for the pairs of texts in a file: the model and the optimizer of the recipe g2p, rows as long as the
 * longest example, and steps for about twenty epochs, but at least 300 and at most 2,400.
 */
export function pairsConfig(task: Task): RunConfig {
  const examples = task.split('train').map(example => tokenize(task.codec, example))
  if (examples.length === 0) throw new ConfigError(`${task.name}: there are no examples to train on`)
  const { rows, inputLength, targetLength, steps } = sizesFor(examples, passes)
  const { model, router, train } = recipes.g2p
  return {
    task: task.config ?? { kind: 'custom', name: task.name },
    model: { ...model, vocabSize: task.codec.vocabSize },
    router: { ...router, maxGroupSize: rows * Math.max(inputLength, targetLength) },
    train: { ...train, rows, inputLength, targetLength, steps },
    from: null,
  }
}
