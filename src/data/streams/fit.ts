import type { TokenExample } from '../features.js'
import type { FitOptions } from './example-stream.js'

/** Leaves out or truncates examples that are longer than a row, and counts them. */
export class Fit {
  skipped = 0
  truncated = 0

  constructor(readonly options: FitOptions) {}

  /** The example, truncated if need be; undefined if it is to be left out. */
  apply(example: TokenExample): TokenExample | undefined {
    const { inputLength, targetLength, tooLong = 'skip' } = this.options
    const { inputs, targets } = example
    if (inputs.length <= inputLength && targets.length <= targetLength) return example
    if (tooLong === 'skip') {
      this.skipped++
      return undefined
    }
    this.truncated++
    return { inputs: inputs.subarray(0, inputLength), targets: targets.subarray(0, targetLength) }
  }
}
