import { filterDataset } from '../stages/filter.js'
import { mapWithSeeds } from '../stages/map-with-seeds.js'
import type { Preprocessor } from '../preprocessor.js'
import { randomInt32 } from '../random/stateless.js'
import { rowLength, tokensOf } from './token-fields.js'

/**
 * T5's `trivia_qa_truncate_inputs`: inputs that are too long are cut to a random stretch that holds the first
 * occurrence of the targets. Examples whose long inputs do not hold their targets, and those without inputs, are
 * dropped. Other features are dropped as well.
 */
export function triviaQaTruncateInputs(): Preprocessor {
  const name = 'triviaQaTruncateInputs'
  return {
    name,
    apply(dataset, context) {
      const length = rowLength(context, 'inputs', name)
      const truncated = mapWithSeeds(dataset, context.seeds, 1, (example, [seed]) => {
        const inputs = tokensOf(example, 'inputs', name)
        const targets = tokensOf(example, 'targets', name)
        if (inputs.length <= length) return { inputs, targets }
        const answer = indexOfTokens(inputs, targets)
        if (answer < 0) return { inputs: new Int32Array(0), targets }
        const least = Math.max(0, answer - (length - targets.length))
        const start = randomInt32(seed, least, Math.min(answer, inputs.length - length) + 1)
        return { inputs: inputs.subarray(start, start + length), targets }
      })
      return filterDataset(truncated, ({ inputs }) => inputs.length > 0)
    },
  }
}

/** Where `part` first occurs in `tokens`, or -1. */
function indexOfTokens(tokens: Int32Array, part: Int32Array): number {
  for (let start = 0; start + part.length <= tokens.length; start++)
    if (part.every((token, i) => tokens[start + i] === token)) return start
  return -1
}
