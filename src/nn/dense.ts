import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { applyAdapted } from './lora.js'
import type { AdaptedKernel } from './lora.js'
import { isQuantized, product } from './quantized.js'

export type DenseParams = AdaptedKernel // [in, out]

/** A linear map of the last axis without bias: x [..., in] times the kernel. Computed in x's dtype. */
export function dense(params: DenseParams, x: Tensor): Tensor {
  const { kernel } = params
  const inputs = x.shape[x.ndim - 1]
  const outputs = isQuantized(kernel) ? kernel.scales.shape[0] : kernel.shape[1]
  const mapped = applyAdapted(params, np.reshape(x, [-1, inputs]), product) // [rows, out]
  return np.reshape(mapped, [...x.shape.slice(0, -1), outputs]) // [..., out]
}
