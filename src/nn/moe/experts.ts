import type { Array } from '../../engine/api/array.js'
import * as np from '../../engine/api/np.js'
import type { DenseParams } from '../dense.js'
import { hiddenActivations } from '../mlp.js'
import type { MlpParams } from '../mlp.js'
import type { Noise } from '../noise.js'
import { combine, dispatch } from './dispatch.js'
import type { Slots } from './dispatch.js'

/**
 * Every expert's feed-forward network (mlp.ts, with kernels [experts, in, out]) on the tokens in its slots, as one batched
 * matrix product a kernel. x [tokens, dModel]; choices without a slot get 0. A dropout mask is the same for all of an expert's tokens.
 */
export function experts(params: MlpParams, x: Array, slots: Slots, noise: Noise, dropoutRate = 0): Array {
  const { expertOfBlock } = slots
  const kernels = ({ kernel }: DenseParams): Array => np.astype(expertOfBlock ? np.take(kernel, expertOfBlock, 0) : kernel, x.dtype) // [blocks, in, out]
  const dispatched = dispatch(x, slots) // [blocks, rows, dModel]
  const hidden = hiddenActivations(params, kernel => np.matmul(dispatched, kernels(kernel))) // [blocks, rows, dFf]
  const outputs = np.matmul(noise.dropout(hidden, dropoutRate, 1), kernels(params.wo)) // [blocks, rows, dModel]
  return combine(outputs, slots) // [tokens, choices, dModel]
}
