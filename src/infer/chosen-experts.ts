import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import type { Pass } from '../model/pass.js'
import { moeOptions } from '../model/routing.js'
import { fromGroups } from '../nn/moe/groups.js'
import type { RouterRecord } from '../nn/moe/types.js'

/**
 * The experts that the tokens of a pass [batch, length] met: for each sparse layer and token, one number for each
 * choice. The number of experts means that no expert took this choice. A list of one array, or of none if no layer is
 * sparse.
 */
export function chosenExperts(records: readonly RouterRecord[], pass: Pass): Tensor[] {
  if (records.length === 0) return []
  const [batch, length] = pass.tokenIds.shape
  const { groups } = moeOptions(pass, pass.tokenIds)
  const ofLayers = records.map(({ expert, kept, logits }) => {
    const taken = np.where(kept, expert, logits.shape[2]) // [groups, tokens, choices]
    return fromGroups(np.reshape(taken, [-1, expert.shape[2]]), groups, batch, length) // [batch, length, choices]
  })
  return [np.stack(ofLayers, 0)] // [layers, batch, length, choices]
}
