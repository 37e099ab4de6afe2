import type { Tensor } from '../../src/engine/api/tensor.js'
import * as np from '../../src/engine/api/np.js'
import { tokensChooseTop1 } from '../../src/nn/moe/router.js'
import type { Router } from '../../src/nn/moe/router.js'
import { describeRouter } from './router.js'

describeRouter('tokens choose top 1', tokensChooseTop1)

// Two more, so that the seam is known to hold them: tokens with two choices, and experts that choose.

const below = (position: Tensor, capacity: number | null): Tensor =>
  np.logicalAnd(np.greaterEqual(position, 0), np.less(position, capacity ?? Infinity))

/** Second choices find room after all first choices. */
const tokensChooseTop2: Router = {
  assign({ probabilities }, mask, capacity) {
    const [groups, tokens, experts] = probabilities.shape
    const [gates, expert] = np.topK(probabilities, 2) // [groups, tokens, 2]
    const both = np.oneHot(expert, experts, { dtype: 'int32' }) // [groups, tokens, 2, experts]
    const chosen = mask ? np.where(np.reshape(mask, [groups, tokens, 1, 1]), both, 0) : both // [groups, tokens, 2, experts]
    const inOrder = np.reshape(np.swapaxes(chosen, 1, 2), [groups, 2 * tokens, experts]) // [groups, 2 * tokens, experts]
    const rank = np.subtract(np.sum(np.multiply(np.cumsum(inOrder, 1), inOrder), { axis: 2 }), 1) // [groups, 2 * tokens]
    const position = np.swapaxes(np.reshape(rank, [groups, 2, tokens]), 1, 2) // [groups, tokens, 2]
    const kept = below(position, capacity) // [groups, tokens, 2]
    return {
      expert,
      position,
      kept,
      gate: np.where(kept, gates, 0),
      choice: np.astype(np.sum(chosen, { axis: 2 }), 'float32'),
    }
  },
}

/** Each expert takes the tokens that it is most probable for. */
const expertsChoose: Router = {
  assign({ probabilities }, mask, capacity) {
    const [groups, tokens, experts] = probabilities.shape
    const scores = mask ? np.where(np.expandDims(mask, 2), probabilities, -1) : probabilities // [groups, tokens, experts]
    const order = np.argsort(np.negative(scores), 1) // [groups, tokens, experts]
    const position = np.where(np.greaterEqual(scores, 0), np.argsort(order, 1), -1) // [groups, tokens, experts]
    const kept = below(position, capacity) // [groups, tokens, experts]
    const expert = np.broadcastTo(np.arange(experts), [groups, tokens, experts])
    return { expert, position, kept, gate: np.where(kept, probabilities, 0), choice: np.astype(kept, 'float32') }
  },
}

describeRouter('tokens choose top 2', tokensChooseTop2)
describeRouter('experts choose', expertsChoose)
