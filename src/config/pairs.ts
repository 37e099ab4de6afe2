import { ConfigError } from '../base/errors.js'
import { tokenize } from '../data/features.js'
import type { TokenExample } from '../data/features.js'
import type { Task } from '../data/task.js'
import { recipes } from './recipes.js'
import type { RunConfig } from '../train/config.js'

/** Longer examples are left out, unless the user sets the lengths. */
const longestByDefault = 512
/** Tokens of a batch on each side, as in the recipe g2p. */
const batchTokens = 1024
/** How often each example is seen, if that takes neither too few steps nor too many. */
const epochs = 20

/**
 * A configuration for the pairs of texts in a file: the model and the optimizer of the recipe g2p, rows as long as the
 * longest example, and steps for about twenty epochs, but at least 300 and at most 2,400.
 */
export function pairsConfig(task: Task, path: string): RunConfig {
  const examples = task.split('train').map(example => tokenize(task.codec, example))
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
    model: { ...model, vocabSize: task.codec.vocabSize },
    router: { ...router, maxGroupSize: rows * Math.max(inputLength, targetLength) },
    train: { ...train, rows, inputLength, targetLength, steps },
    from: null,
  }
}

/**
 * The length of the longest example, rounded up to a multiple of 16; at least 64, so that short examples share a row.
 */
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
