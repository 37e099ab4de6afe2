import { ConfigError } from '../base/errors.js'
import { tokenize } from '../data/features.js'
import type { TokenExample } from '../data/features.js'
import type { Task } from '../data/task.js'
import { recipes } from './recipes.js'
import type { RunConfig } from './schema.js'

/** What is longer is skipped, unless the lengths are set by hand. */
const longestByDefault = 512
/** Tokens a batch and side, as in the recipe g2p, as far as the lengths allow. */
const batchTokens = 1024
const epochs = 20

/**
 * A configuration for pairs of texts of which nothing else is known: the model and the optimizer of g2p, rows that hold the longest
 * example, and enough steps to see each example about twenty times, within the limits of a few minutes.
 */
export function pairsConfig(task: Task, path: string): RunConfig {
  const examples = task.split('train').map(example => tokenize(task, example))
  if (examples.length === 0) throw new ConfigError(`${path}: there are no examples to train on`)
  const inputLength = rowLength(examples.map(e => e.inputs.length))
  const targetLength = rowLength(examples.map(e => e.targets.length))
  const rows = Math.max(4, Math.round(batchTokens / Math.max(inputLength, targetLength)))
  const steps = clamp(
    Math.ceil((epochs * examples.length) / examplesPerBatch(examples, rows, inputLength, targetLength)),
    300,
    2400,
  )
  const { model, router, train } = recipes.g2p
  return {
    task: { kind: 'pairs', path },
    model: { ...model, vocabSize: task.vocabSize },
    router: { ...router, maxGroupSize: rows * Math.max(inputLength, targetLength) },
    train: { ...train, rows, inputLength, targetLength, steps },
  }
}

/** Room for the longest, rounded up so that a few shorter ones fit beside each other. */
const rowLength = (lengths: readonly number[]): number =>
  clamp(Math.ceil(lengths.reduce((a, b) => Math.max(a, b)) / 16) * 16, 64, longestByDefault)

function examplesPerBatch(
  examples: readonly TokenExample[],
  rows: number,
  inputLength: number,
  targetLength: number,
): number {
  const mean = (side: 'inputs' | 'targets'): number =>
    examples.reduce((sum, e) => sum + e[side].length, 0) / examples.length
  return Math.max(rows, rows * Math.min(inputLength / mean('inputs'), targetLength / mean('targets')))
}

const clamp = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x))
