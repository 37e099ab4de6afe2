import type { DType } from '../../base/dtypes.js'
import type { Array } from '../../engine/api/array.js'
import * as np from '../../engine/api/np.js'
import type { DenseParams } from '../dense.js'
import { hiddenActivations } from '../mlp.js'
import type { MlpParams } from '../mlp.js'
import type { Noise } from '../noise.js'
import { bitsOf, dequantize, isQuantized } from '../quantized.js'
import type { Kernel } from '../quantized.js'
import { combine, dispatch } from './dispatch.js'
import type { Slots } from './dispatch.js'

/**
 * Every expert's feed-forward network (mlp.ts, with kernels [experts, in, out]) on the tokens in its slots, as one batched
 * matrix product a kernel. x [tokens, dModel]; choices without a slot get 0. A dropout mask is the same for all of an expert's tokens.
 */
export function experts(params: MlpParams, x: Array, slots: Slots, noise: Noise, dropoutRate = 0): Array {
  const { expertOfBlock } = slots
  const dispatched = dispatch(x, slots) // [blocks, rows, dModel]
  const apply = ({ kernel }: DenseParams, y: Array): Array => np.matmul(y, kernelsOfBlocks(kernel, y.shape[2], expertOfBlock, x.dtype))
  const hidden = hiddenActivations(params, kernel => apply(kernel, dispatched)) // [blocks, rows, dFf]
  const outputs = apply(params.wo, noise.dropout(hidden, dropoutRate, 1)) // [blocks, rows, dModel]
  return combine(outputs, slots) // [tokens, choices, dModel]
}

/** The kernel of each block's expert, or of all experts in turn. */
function kernelsOfBlocks(kernel: Kernel, inputs: number, expertOfBlock: Array | null, dtype: DType): Array {
  const ofBlocks = (y: Array): Array => (expertOfBlock ? np.take(y, expertOfBlock, 0) : y) // [blocks, ...]
  if (!isQuantized(kernel)) return np.astype(ofBlocks(kernel), dtype) // [blocks, in, out]
  const chosen = { values: ofBlocks(kernel.values), scales: ofBlocks(kernel.scales) }
  return np.astype(np.swapaxes(dequantize(chosen, bitsOf(kernel, inputs)), 1, 2), dtype) // [blocks, in, out]
}
