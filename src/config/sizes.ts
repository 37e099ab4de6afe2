import { SwitchyardError } from '../base/errors.js'
import { spreadExamples } from '../data/dataset.js'
import type { TokenExample } from '../data/features.js'
import type { Task } from '../data/task.js'

/** Longer examples are left out, unless the user sets the lengths. */
const longestByDefault = 512
/** The size of a batch; and how often each example is to be seen, if that takes neither too few steps nor too many. */
export interface Passes {
  /** Tokens of a batch, on the side that has more. */
  readonly batchTokens: number
  readonly epochs: number
  readonly fewestSteps: number
  readonly mostSteps: number
}

/**
 * The sizes of a batch for examples like these, and how many steps to train on `count` of them. The rows of both sides
 * are as long as the longest example needs; a row holds several short ones. The side whose rows would stay emptier is
 * made shorter, which loses no example: labels need a few tokens beside the text that they are for.
 */
export function sizesFor(
  examples: readonly TokenExample[],
  { batchTokens, epochs, fewestSteps, mostSteps }: Passes,
  count = examples.length,
): { rows: number; inputLength: number; targetLength: number; steps: number } {
  const inputs = lengthsOf(examples.map(e => e.inputs.length))
  const targets = lengthsOf(examples.map(e => e.targets.length))
  const perRow = Math.max(1, Math.min(inputs.row / inputs.mean, targets.row / targets.mean))
  const inputLength = filledLength(inputs, perRow)
  const targetLength = filledLength(targets, perRow)
  const rows = Math.max(4, Math.round(batchTokens / Math.max(inputLength, targetLength)))
  const steps = clamp(Math.ceil((epochs * count) / (rows * perRow)), fewestSteps, mostSteps)
  return { rows, inputLength, targetLength, steps }
}

/** The sizes are found from at most this many examples, evenly spaced. */
const MOST_EXAMPLES = 20_000

/** The rows that a task with random preprocessors is asked for. Span corruption, for example, fills the inputs. */
const randomLengths = { inputs: 256, targets: 256 }

/** Some of a task's training examples, evenly spaced, from which sizes are found; and how many there are in all. */
export function someExamples(task: Task): { examples: TokenExample[]; count: number } {
  const tokens = task.tokens('train', task.isRandom ? { lengths: randomLengths } : {})
  if (tokens.length === 0) throw new SwitchyardError(`${task.name}: there are no examples to train on`)
  return { examples: spreadExamples(tokens, MOST_EXAMPLES), count: tokens.length }
}

interface Lengths {
  readonly mean: number
  /** The longest, but not more than is kept by default. */
  readonly longest: number
  /** A row for the longest: a multiple of 16, and at least 64, so that short examples share a row. */
  readonly row: number
}

function lengthsOf(lengths: readonly number[]): Lengths {
  const mean = lengths.reduce((a, b) => a + b, 0) / lengths.length
  const longest = Math.min(
    lengths.reduce((a, b) => Math.max(a, b)),
    longestByDefault,
  )
  return { mean, longest, row: Math.max(64, roundUp(longest, 16)) }
}

/** First fit leaves some room in the rows: they are filled to about this share. */
const FILLED = 0.9
/** Held-out examples may be longer than those in training, by this factor. */
const MARGIN = 1.2

/** The length of a row for so many examples, at most the full one. */
const filledLength = ({ mean, longest, row }: Lengths, perRow: number): number =>
  Math.min(row, roundUp(Math.max(MARGIN * longest, (perRow * mean) / FILLED), 8))

const roundUp = (x: number, multiple: number): number => Math.ceil(x / multiple) * multiple
const clamp = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x))
