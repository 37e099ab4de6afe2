import type { Array } from '../../engine/api/array.js'
import * as np from '../../engine/api/np.js'
import { hiddenActivations } from '../mlp.js'
import type { MlpParams } from '../mlp.js'
import type { Noise } from '../noise.js'
import { bitsOf, dequantize, isQuantized } from '../quantized.js'
import type { Kernel } from '../quantized.js'
import { combine, dispatch } from './dispatch.js'
import type { Slots } from './dispatch.js'
import { raggedDot } from './ragged-dot.js'

/**
 * Every expert's feed-forward network (mlp.ts, with kernels [experts, in, out]) on the tokens in its slots. x [tokens, dModel]; choices
 * without a slot get 0. Where experts have equally many slots a kernel is one batched product, and a dropout mask the same for all of
 * an expert's tokens.
 */
export function experts(params: MlpParams, x: Array, slots: Slots, noise: Noise, dropoutRate = 0): Array {
  const { slotsOfExpert } = slots
  const dispatched = dispatch(x, slots) // [slots, dModel]
  const isRagged = typeof slotsOfExpert !== 'number'
  const tokens = isRagged ? dispatched : np.reshape(dispatched, [-1, slotsOfExpert, x.shape[1]]) // [..., dModel]
  const apply = (kernel: Kernel, y: Array): Array =>
    (isRagged ? raggedDot(y, kernel, slotsOfExpert) : np.matmul(y, np.astype(wholeKernels(kernel, y.shape[2]), x.dtype)))
  const hidden = hiddenActivations(params, ({ kernel }) => apply(kernel, tokens)) // [..., dFf]
  const outputs = apply(params.wo.kernel, noise.dropout(hidden, dropoutRate, 1)) // [..., dModel]
  return combine(np.reshape(outputs, dispatched.shape), slots) // [tokens, choices, dModel]
}

const wholeKernels = (kernel: Kernel, inputs: number): Array =>
  (isQuantized(kernel) ? np.swapaxes(dequantize(kernel, bitsOf(kernel, inputs)), 1, 2) : kernel) // [experts, in, out]
