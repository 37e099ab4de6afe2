import type { TokenExample } from '../features.js'

/** At most this many examples are measured, spread evenly over the data. */
export const MEASURED = 20_000

/** Lengths in tokens of measured examples, EOS included. */
export interface MeasuredLengths {
  readonly inputs: readonly number[]
  readonly targets: readonly number[]
}

export const lengthsOf = (examples: readonly TokenExample[]): MeasuredLengths => ({
  inputs: examples.map(({ inputs }) => inputs.length),
  targets: examples.map(({ targets }) => targets.length),
})

/** The value that a share of the values does not exceed. NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted.length === 0 ? Number.NaN : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}
