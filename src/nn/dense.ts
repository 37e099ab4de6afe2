import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { isQuantized, product } from './quantized.js'
import type { Kernel } from './quantized.js'

export type DenseParams = { kernel: Kernel } // [in, out]

/** A linear map of the last axis without bias: x [..., in] times the kernel. Computed in x's dtype. */
export function dense({ kernel }: DenseParams, x: Tensor): Tensor {
  const inputs = x.shape[x.ndim - 1]
  const outputs = isQuantized(kernel) ? kernel.scales.shape[0] : kernel.shape[1]
  const mapped = product(np.reshape(x, [-1, inputs]), kernel) // [rows, out]
  return np.reshape(mapped, [...x.shape.slice(0, -1), outputs]) // [..., out]
}
