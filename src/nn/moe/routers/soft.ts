import * as np from '../../../engine/api/np.js'
import type { Router } from '../router.js'
import { presence } from './positions.js'

/**
 * Every expert takes every token, and the output is the mean of all experts weighted by their probabilities: the dense
 * mixture of Jacobs et al. 1991, "Adaptive Mixtures of Local Experts", equation 1. It costs as many multiplications as
 * there are experts, and is the limit that sparse routers approach.
 */
export const softMixture: Router = {
  name: 'soft',
  isDropless: true,
  isBalanced: true,
  assign({ probabilities }, mask) {
    const [groups, tokens, experts] = probabilities.shape
    const present = presence(mask, [groups, tokens]) // [groups, tokens]
    const counted = np.astype(present, 'int32') // [groups, tokens]
    const rank = np.where(present, np.subtract(np.cumsum(counted, 1), 1), -1) // [groups, tokens]
    const perExpert = [groups, tokens, experts]
    const kept = np.broadcastTo(np.expandDims(present, 2), perExpert) // [groups, tokens, experts]
    return {
      expert: np.broadcastTo(np.arange(experts), perExpert),
      position: np.broadcastTo(np.expandDims(rank, 2), perExpert),
      kept,
      gate: np.where(kept, probabilities, 0),
      choice: np.astype(kept, 'float32'),
    }
  },
}
