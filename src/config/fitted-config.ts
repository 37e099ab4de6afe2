import type { TokenExample } from '../data/features.js'
import type { Task } from '../data/task.js'
import { recipes } from './recipes.js'
import { sizesFor, someExamples } from './sizes.js'
import type { RunConfig } from '../train/config.js'

/**
 * Batches half as large as in the recipe g2p: for the same number of tokens, twice as many smaller steps learned more
 * on small data (docs/results.md, "Small tasks").
 */
const passes = { batchTokens: 512, epochs: 40, fewestSteps: 600, mostSteps: 2400 }

/** Of few examples, each is seen in this many steps, and no more: longer training would only repeat them. */
const STEPS_PER_EXAMPLE = 6
const LEAST_STEPS = 20
/** The steps in which the learning rate rises; in a short run, a tenth of its steps. */
const WARMUP_STEPS = 100

/**
 * Peaks of the learning rate. Of labels, the answer is one or two tokens, and the higher rate learns the words but not
 * what they do to each other: 9% wrong against 2%. For sequences, the lower rate takes twice as many steps.
 */
const peaks = { labels: 5e-4, sequences: 1.5e-3 }
/** Targets that are shorter than this on average, EOS included, are labels. */
const LABEL_TOKENS = 4

/**
 * A configuration for a file of pairs or any other task: the model, its beginning and the optimizer of the recipe g2p,
 * a learning rate for labels or for sequences, rows as long as the longest example, and steps for about forty epochs,
 * but at least 600 and at most 2,400.
 */
export function fittedConfig(task: Task): RunConfig {
  const { examples, count } = someExamples(task)
  const fewestSteps = Math.min(passes.fewestSteps, Math.max(LEAST_STEPS, STEPS_PER_EXAMPLE * count))
  const { rows, inputLength, targetLength, steps } = sizesFor(examples, { ...passes, fewestSteps }, count)
  const warmupSteps = Math.min(WARMUP_STEPS, Math.ceil(steps / 10))
  const { model, router, train } = recipes.g2p
  const peak = meanTarget(examples) < LABEL_TOKENS ? peaks.labels : peaks.sequences
  return {
    task: task.config ?? { kind: 'custom', name: task.name },
    model: { ...model, vocabSize: task.codec.vocabSize },
    router: { ...router, maxGroupSize: rows * Math.max(inputLength, targetLength) },
    train: {
      ...train,
      rows,
      inputLength,
      targetLength,
      steps,
      schedule: { kind: 'linear', peak, warmupSteps },
    },
    from: null,
    distill: null,
  }
}

const meanTarget = (examples: readonly TokenExample[]): number =>
  examples.reduce((sum, { targets }) => sum + targets.length, 0) / examples.length
