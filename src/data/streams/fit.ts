import type { TokenExample } from '../features.js'
import type { FitOptions } from './example-stream.js'

/** Leaves out or truncates examples that are longer than a row, and counts them. */
export class Fit {
  skipped = 0
  truncated = 0

  constructor(readonly options: FitOptions) {}

  /** The example, truncated if need be; undefined if it is to be left out. */
  apply(example: TokenExample): TokenExample | undefined {
    const { inputs, targets } = example
    const { inputLength, targetLength } = this.options
    if (!this.admits(inputs.length, targets.length)) return undefined
    return inputs.length <= inputLength && targets.length <= targetLength
      ? example
      : { inputs: inputs.subarray(0, inputLength), targets: targets.subarray(0, targetLength) }
  }

  /** Whether an example of these lengths is used, as a whole or truncated. */
  admits(inputs: number, targets: number): boolean {
    const { inputLength, targetLength, tooLong = 'skip' } = this.options
    if (inputs <= inputLength && targets <= targetLength) return true
    if (tooLong === 'skip') this.skipped++
    else this.truncated++
    return tooLong !== 'skip'
  }
}
