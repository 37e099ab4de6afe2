import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import type { DeviceGroup } from '../device-group.js'
import type { Assignment } from './router.js'
import type { RouterStatistics } from './types.js'

/**
 * Statistics over the tokens of all devices where `present` [groups, tokens] is 1. `slots`: the number of fixed slots
 * of this device's groups; null if there are none.
 */
export function routerStatistics(
  logits: Tensor,
  probabilities: Tensor,
  assignment: Assignment,
  present: Tensor,
  slots: number | null,
  devices: DeviceGroup,
): RouterStatistics {
  const { choice } = assignment
  const kept = np.astype(assignment.kept, 'float32') // [groups, tokens, choices]
  const isTaken = np.max(kept, { axis: 2 }) // [groups, tokens]
  // -sum(p log p) = log Z - sum(p logit): this form takes no log of 0.
  const entropy = np.subtract(
    np.logsumexp(logits, { axis: 2 }),
    np.sum(np.multiply(probabilities, logits), { axis: 2 }),
  ) // [groups, tokens]
  const sum = (x: Tensor, weights: Tensor): Tensor => np.sum(np.multiply(x, weights)) // []
  const totals = devices.total({
    present: np.sum(present), // []
    taken: sum(isTaken, present), // []
    entropy: sum(entropy, present), // []
    chosen: np.sum(choice, { axis: [0, 1] }), // [experts]
    kept: np.sum(kept), // []
    gates: sum(assignment.gate, kept), // []
  })
  const { chosen } = totals
  const mean = (total: Tensor, count: Tensor): Tensor => np.divide(total, np.maximum(count, 1e-9)) // []
  return {
    shareDropped: np.subtract(1, mean(totals.taken, totals.present)), // []
    load: np.divide(chosen, np.maximum(np.sum(chosen), 1)), // [experts]
    deadExperts: np.sum(np.astype(np.equal(chosen, 0), 'float32')), // []
    entropy: mean(totals.entropy, totals.present), // []
    confidence: mean(totals.gates, totals.kept), // []
    expertUsage: slots === null ? np.ones([]) : np.divide(totals.kept, slots * devices.size), // []
  }
}
