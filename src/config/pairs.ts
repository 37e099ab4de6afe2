import { ConfigError } from '../base/errors.js'
import type { Task } from '../data/task.js'
import { recipes } from './recipes.js'
import { sizesFor } from './sizes.js'
import type { RunConfig } from '../train/config.js'

/**
 * Batches half as large as in the recipe g2p: for the same number of tokens, twice as many smaller steps learned more on
 * small data (docs/results.md, "Small tasks").
 */
const passes = { batchTokens: 512, epochs: 40, fewestSteps: 600, mostSteps: 2400 }

/** The sizes are found from at most this many examples, evenly spaced. */
const MOST_EXAMPLES = 20_000

/** The rows of a task whose preprocessors cut text to the rows' lengths, and how long it trains. */
const randomTaskSizes = { rows: 8, inputLength: 128, targetLength: 128, steps: 2400 }

/**
 * A configuration for a file of pairs or any other task: the model and the optimizer of the recipe g2p, rows as long as the
 * longest example, and steps for about forty epochs, but at least 600 and at most 2,400.
 */
export function pairsConfig(task: Task): RunConfig {
  const { rows, inputLength, targetLength, steps } = task.isRandom ? randomTaskSizes : fittingSizes(task)
  const { model, router, train } = recipes.g2p
  return {
    task: task.config ?? { kind: 'custom', name: task.name },
    model: { ...model, vocabSize: task.codec.vocabSize },
    router: { ...router, maxGroupSize: rows * Math.max(inputLength, targetLength) },
    train: { ...train, rows, inputLength, targetLength, steps },
    from: null,
  }
}

function fittingSizes(task: Task): ReturnType<typeof sizesFor> {
  const tokens = task.tokens('train')
  if (tokens.length === 0) throw new ConfigError(`${task.name}: there are no examples to train on`)
  const count = Math.min(tokens.length, MOST_EXAMPLES)
  const examples = Array.from({ length: count }, (_, i) => tokens.get(Math.floor((i * tokens.length) / count)))
  return sizesFor(examples, passes, tokens.length)
}
