import * as np from '../../../engine/api/np.js'
import type { Tensor } from '../../../engine/api/tensor.js'
import type { Router } from '../router.js'
import { hasCapacity, presence } from './positions.js'

/**
 * Each expert takes the tokens that it is most probable for, as many as its capacity, so that all experts have the same
 * load and a token may have several experts or none (Zhou et al. 2022, "Mixture-of-Experts with Expert Choice
 * Routing", section 3.2). The gate is the probability. Ties go to the earlier token. Without a fixed capacity an expert
 * takes `capacityShare` of the group's routed tokens, at least one.
 */
export const expertsChoose: Router = {
  name: 'expertsChoose',
  comparesTokens: true,
  isBalanced: true,
  assign({ probabilities }, mask, capacity, { capacityShare }) {
    const [groups, tokens, experts] = probabilities.shape
    const present = presence(mask, [groups, tokens]) // [groups, tokens]
    const scores = np.where(np.expandDims(present, 2), probabilities, -1) // [groups, tokens, experts]
    const order = np.argsort(np.negative(scores), 1) // [groups, tokens, experts]
    const position = np.where(np.expandDims(present, 2), np.argsort(order, 1), -1) // [groups, tokens, experts]
    const kept = hasCapacity(position, capacity ?? shareOf(present, capacityShare)) // [groups, tokens, experts]
    return {
      expert: np.broadcastTo(np.arange(experts), [groups, tokens, experts]),
      position,
      kept,
      gate: np.where(kept, probabilities, 0),
      choice: np.astype(kept, 'float32'),
    }
  },
}

/**
 * The share of each group's routed tokens [groups, tokens], rounded half to even, at least 1. Returns [groups, 1, 1].
 */
function shareOf(present: Tensor, share: number): Tensor {
  const routed = np.sum(np.astype(present, 'float32'), { axis: 1 }) // [groups]
  const taken = np.maximum(np.round(np.multiply(routed, share)), 1) // [groups]
  return np.reshape(np.astype(taken, 'int32'), [present.shape[0], 1, 1]) // [groups, 1, 1]
}
