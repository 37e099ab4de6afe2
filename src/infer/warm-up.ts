import type { Search } from './search.js'

/**
 * The sizes that the first requests usually have, as how many are made at once, and the tokens of their inputs: one
 * short or longer input, then two short ones.
 */
export const FIRST_SIZES = [
  { requests: 1, inputTokens: 16 },
  { requests: 1, inputTokens: 32 },
  { requests: 2, inputTokens: 16 },
] as const

/**
 * A search that makes a model compile what other searches need: in its first step it reads the most probable tokens
 * alone, in its second one all logits. Its answer is meaningless.
 */
export function warmUpSearch(token: number, maxNewTokens: number): Search {
  let steps = 0
  return {
    rows: 1,
    maxNewTokens: Math.min(2, maxNewTokens),
    get needsLogits() {
      return steps > 0
    },
    nextOfBest: () => {
      steps++
      return { tokens: [token], parents: null }
    },
    next: () => null,
    answers: () => [{ tokens: [], score: NaN, logProbabilities: [] }],
  }
}
