import type { TokenExample } from '../data/features.js'

/** Longer examples are left out, unless the user sets the lengths. */
const longestByDefault = 512
/** Tokens of a batch on each side, as in the recipe g2p. */
const batchTokens = 1024

/** How often each example is to be seen, if that takes neither too few steps nor too many. */
export interface Passes {
  readonly epochs: number
  readonly fewestSteps: number
  readonly mostSteps: number
}

/** The sizes of a batch for some examples: rows as long as the longest one; and how many steps to train. */
export function sizesFor(
  examples: readonly TokenExample[],
  { epochs, fewestSteps, mostSteps }: Passes,
): { rows: number; inputLength: number; targetLength: number; steps: number } {
  const inputLength = rowLength(examples.map(e => e.inputs.length))
  const targetLength = rowLength(examples.map(e => e.targets.length))
  const rows = Math.max(4, Math.round(batchTokens / Math.max(inputLength, targetLength)))
  const perStep = examplesPerBatch(examples, rows, inputLength, targetLength)
  const steps = clamp(Math.ceil((epochs * examples.length) / perStep), fewestSteps, mostSteps)
  return { rows, inputLength, targetLength, steps }
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
