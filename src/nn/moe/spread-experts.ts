import * as np from '../../engine/api/np.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { vmap } from '../../engine/api/vmap.js'
import type { Constrain } from '../constrain.js'
import type { Activation, MlpParams } from '../mlp.js'
import type { Noise } from '../noise.js'
import { bufferSlots, combine, dispatch } from './dispatch.js'
import { evenExperts } from './experts.js'
import type { Assignment } from './router.js'

/**
 * What `experts` computes, with experts on several devices, as Switch Transformers (section 2.3) and Flaxformer lay
 * them out. Each device has some groups of tokens and some experts. It moves its groups' tokens into slots, sends each
 * expert's slots to the expert's device and gets their outputs back: between the layouts by group and by expert, the
 * compiler writes an all-to-all. `x` is [groups, tokens, dModel]; the result is [groups * tokens, choices, dModel].
 */
export function spreadExperts(
  params: MlpParams,
  x: Tensor,
  { expert, position, kept }: Pick<Assignment, 'expert' | 'position' | 'kept'>,
  { numExperts, capacity }: { numExperts: number; capacity: number },
  activation: Activation,
  noise: Noise,
  dropoutRate: number,
  constrain: Constrain,
): Tensor {
  const [numGroups, tokens, dModel] = x.shape
  const slotsPerExpert = Math.min(capacity, tokens)
  const order = vmap((e: Tensor, p: Tensor, k: Tensor) => {
    const one = (y: Tensor): Tensor => np.expandDims(y, 0)
    const choices = { expert: one(e), position: one(p), kept: one(k) }
    const { slotOfChoice, choiceOfSlot } = bufferSlots(choices, numExperts, capacity)
    return { slotOfChoice, choiceOfSlot }
  })(expert, position, kept) // [groups, tokens, choices], [groups, experts * slots]

  const dispatched = vmap(dispatch)(x, order) // [groups, experts * slots, dModel]
  const byGroup = constrain(
    np.reshape(dispatched, [numGroups, numExperts, slotsPerExpert, dModel]), // [groups, experts, slots, dModel]
    ['group', 'capacity', 'capacity', 'embed'],
  )
  const byExpert = constrain(np.swapaxes(byGroup, 0, 1), ['expert', 'group', 'capacity', 'embed']) // [experts, groups, slots, dModel]
  const outputs = evenExperts(
    params,
    np.reshape(byExpert, [numExperts, numGroups * slotsPerExpert, dModel]), // [experts, groups * slots, dModel]
    activation,
    noise,
    dropoutRate,
  ) // [experts, groups * slots, dModel]
  const computed = constrain(
    np.reshape(outputs, [numExperts, numGroups, slotsPerExpert, dModel]), // [experts, groups, slots, dModel]
    ['expert', 'group', 'capacity', 'embed'],
  )
  const returned = constrain(np.swapaxes(computed, 0, 1), ['group', 'capacity', 'capacity', 'embed']) // [groups, experts, slots, dModel]
  const combined = vmap(combine)(
    np.reshape(returned, [numGroups, numExperts * slotsPerExpert, dModel]), // [groups, experts * slots, dModel]
    order,
  ) // [groups, tokens, choices, dModel]
  return np.reshape(combined, [numGroups * tokens, -1, dModel]) // [tokens, choices, dModel]
}
