import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import type { ExpertGroup } from '../device-group.js'
import { hiddenActivations } from '../mlp.js'
import type { Activation, MlpParams } from '../mlp.js'
import type { Noise } from '../noise.js'
import { applyAdapted } from '../lora.js'
import { wholeKernel } from '../quantized.js'
import type { Kernel } from '../quantized.js'
import { combine, dispatch } from './dispatch.js'
import type { Slots } from './dispatch.js'
import { raggedDot } from './ragged-dot.js'

/**
 * Every expert's feed-forward network (mlp.ts, with kernels [experts, in, out]) on the tokens of x [tokens, dModel] in
 * its slots. Choices without a slot get 0. If all experts have the same number of slots: see `evenExperts`. Otherwise
 * each kernel takes a ragged matmul (ragged-dot.ts) and each token has its own dropout mask. `group`: the devices among
 * which experts with the same number of slots are divided; `params` are then those of this device.
 */
export function experts(
  params: MlpParams,
  x: Tensor,
  slots: Slots,
  activation: Activation,
  noise: Noise,
  dropoutRate = 0,
  group: ExpertGroup | null = null,
): Tensor {
  const { slotsOfExpert } = slots
  const dispatched = dispatch(x, slots) // [slots, dModel]
  const even = (perExpert: number): Tensor => {
    const ofAll = np.reshape(dispatched, [-1, perExpert, x.shape[1]]) // [experts, slots, dModel]
    const ofOwn = group ? group.toExperts(ofAll) : ofAll // [experts, slots, dModel]
    const outputs = evenExperts(params, ofOwn, activation, noise, dropoutRate) // [experts, slots, dModel]
    return group ? group.fromExperts(outputs) : outputs // [experts, slots, dModel]
  }
  const outputs =
    typeof slotsOfExpert === 'number'
      ? even(slotsOfExpert) // [experts, slots, dModel]
      : network(
          params,
          activation,
          dispatched,
          (y, kernel) => raggedDot(y, kernel, slotsOfExpert),
          y => noise.dropout(y, dropoutRate, null),
        ) // [slots, dModel]
  return combine(np.reshape(outputs, dispatched.shape), slots) // [tokens, choices, dModel]
}

/**
 * Every expert's network on its slots, of which all experts have the same number: x [experts, slots, dModel]. Each
 * kernel takes one batched matmul, and an expert's slots share a dropout mask.
 */
export const evenExperts = (
  params: MlpParams,
  x: Tensor,
  activation: Activation,
  noise: Noise,
  dropoutRate: number,
): Tensor =>
  network(
    params,
    activation,
    x,
    (y, kernel) => np.matmul(y, np.astype(wholeKernel(kernel, y.shape[2]), y.dtype)), // [experts, slots, out]
    y => noise.dropout(y, dropoutRate, 1),
  ) // [experts, slots, dModel]

function network(
  params: MlpParams,
  activation: Activation,
  x: Tensor,
  multiply: (y: Tensor, kernel: Kernel) => Tensor,
  dropout: (y: Tensor) => Tensor,
): Tensor {
  const hidden = hiddenActivations(params, activation, kernel => applyAdapted(kernel, x, multiply)) // [experts, slots, dFf] or [slots, dFf]
  return applyAdapted(params.wo, dropout(hidden), multiply) // [experts, slots, dModel] or [slots, dModel]
}
