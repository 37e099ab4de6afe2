import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import { weightedMean } from '../weighted-mean.js'
import type { Assignment } from './router.js'
import type { RouterStatistics } from './types.js'

/**
 * Statistics over the tokens where `present` [groups, tokens] is 1. `slots`: the number of fixed slots; null if there
 * are none.
 */
export function routerStatistics(
  logits: Tensor,
  probabilities: Tensor,
  assignment: Assignment,
  present: Tensor,
  slots: number | null,
): RouterStatistics {
  const { choice } = assignment
  const kept = np.astype(assignment.kept, 'float32') // [groups, tokens, choices]
  const isTaken = np.max(kept, { axis: 2 }) // [groups, tokens]
  const chosen = np.sum(choice, { axis: [0, 1] }) // [experts]
  // -sum(p log p) = log Z - sum(p logit): this form takes no log of 0.
  const entropy = np.subtract(
    np.logsumexp(logits, { axis: 2 }),
    np.sum(np.multiply(probabilities, logits), { axis: 2 }),
  ) // [groups, tokens]
  return {
    shareDropped: np.subtract(1, weightedMean(isTaken, present)), // []
    load: np.divide(chosen, np.maximum(np.sum(chosen), 1)), // [experts]
    deadExperts: np.sum(np.astype(np.equal(chosen, 0), 'float32')), // []
    entropy: weightedMean(entropy, present),
    confidence: weightedMean(assignment.gate, kept),
    expertUsage: slots === null ? np.ones([]) : np.divide(np.sum(kept), slots), // []
  }
}
