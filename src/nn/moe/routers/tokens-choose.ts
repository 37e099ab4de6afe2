import type { Tensor } from '../../../engine/api/tensor.js'
import * as np from '../../../engine/api/np.js'
import type { Assignment, Router } from '../router.js'
import { keptChoices } from './positions.js'

export interface TokensChooseOptions {
  /** How many experts each token chooses: its most probable ones. Default: 1. */
  selectedExperts?: number
  /**
   * Whether tokens with a greater first probability take an expert's capacity first (batch-prioritized routing), rather
   * than earlier tokens. Default: false.
   */
  batchPrioritized?: boolean
}

/**
 * Each token chooses its most probable experts, which take tokens up to their capacity: first choices before second
 * ones, and among these in the tokens' order, or by their first probability if `batchPrioritized` (Riquelme et al.
 * 2021, "Scaling Vision with Sparse Mixture of Experts", section 4). A gate is the expert's probability, through which
 * the router gets a gradient (Fedus et al. 2021, "Switch Transformers", section 2.1 and equation 2).
 */
export const tokensChoose = ({ selectedExperts = 1, batchPrioritized = false }: TokensChooseOptions = {}): Router => ({
  name: 'tokensChoose',
  assign({ probabilities }, mask, capacity) {
    const [groups, tokens, experts] = probabilities.shape
    const [gates, expert] = mostProbable(probabilities, Math.min(selectedExperts, experts)) // [groups, tokens, choices] each
    const choices = expert.shape[2]
    const chosen = np.oneHot(expert, experts, { dtype: 'int32' }) // [groups, tokens, choices, experts]
    const counted = mask ? np.where(np.reshape(mask, [groups, tokens, 1, 1]), chosen, 0) : chosen // [groups, tokens, choices, experts]
    const order = batchPrioritized ? byPriority(gates, mask) : null // [groups, tokens]
    const position = positions(order ? takeTokens(counted, order) : counted) // [groups, tokens, choices]
    const ranked = order ? takeTokens(position, np.argsort(order)) : position // [groups, tokens, choices]
    const kept = keptChoices(ranked, mask, capacity) // [groups, tokens, choices]
    return {
      expert,
      position: ranked,
      kept,
      gate: np.where(kept, gates, 0),
      choice: np.astype(choices === 1 ? np.squeeze(counted, 2) : np.sum(counted, { axis: 2 }), 'float32'),
    }
  },
})

/** Switch Transformers' router: each token chooses its most probable expert. */
export const tokensChooseTop1: Router = tokensChoose()

/** The `count` greatest probabilities of each token, and their experts, in descending order. */
function mostProbable(probabilities: Tensor, count: number): [gates: Tensor, expert: Tensor] {
  if (count > 1) return np.topK(probabilities, count) // [groups, tokens, choices] each
  const expert = np.argmax(probabilities) // [groups, tokens]
  const chosen = np.oneHot(expert, probabilities.shape[2]) // [groups, tokens, experts]
  return [
    np.sum(np.multiply(probabilities, chosen), { axis: 2, keepdims: true }), // [groups, tokens, 1]
    np.expandDims(expert, 2), // [groups, tokens, 1]
  ]
}

/** The tokens of each group by descending first probability; tokens that are not routed last. Ties keep their order. */
function byPriority(gates: Tensor, mask: Tensor | null): Tensor {
  const first = np.squeeze(gates.get(np.slice(), np.slice(), np.slice(0, 1)), 2) // [groups, tokens]
  return np.argsort(np.negative(mask ? np.where(mask, first, 0) : first)) // [groups, tokens]
}

/** x [groups, tokens, ...] with its tokens in the given order [groups, tokens]. */
function takeTokens(x: Tensor, order: Tensor): Tensor {
  const index = np.reshape(order, [...order.shape, ...x.shape.slice(2).map(() => 1)]) // [groups, tokens, 1, ...]
  return np.takeAlongAxis(x, np.broadcastTo(index, x.shape), 1) // [groups, tokens, ...]
}

/**
 * The index of each choice among the choices of its expert, of one-hot choices [groups, tokens, choices, experts]. All
 * first choices count before all second ones. -1 for a choice that is all 0.
 */
function positions(counted: Tensor): Assignment['position'] {
  const [groups, tokens, choices, experts] = counted.shape
  const inOrder = np.reshape(np.swapaxes(counted, 1, 2), [groups, choices * tokens, experts]) // [groups, choices * tokens, experts]
  const rank = np.subtract(np.sum(np.multiply(np.cumsum(inOrder, 1), inOrder), { axis: 2 }), 1) // [groups, choices * tokens]
  return np.swapaxes(np.reshape(rank, [groups, choices, tokens]), 1, 2) // [groups, tokens, choices]
}
