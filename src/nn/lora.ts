import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import type { Kernel } from './quantized.js'

/**
 * A kernel [..., in, out], perhaps with a low-rank adapter (LoRA, Hu et al. 2021, https://arxiv.org/abs/2106.09685):
 * the linear map is then kernel + lora_a lora_b. The adapter's scale, alpha / rank, is part of `lora_b`.
 */
export type AdaptedKernel = {
  kernel: Kernel
  lora_a?: Tensor // [..., in, rank]
  lora_b?: Tensor // [..., rank, out]
}

/** Applies a kernel and its adapter to x. `multiply` multiplies by one kernel: a matmul, batched or ragged. */
export function applyAdapted(
  { kernel, lora_a: a, lora_b: b }: AdaptedKernel,
  x: Tensor,
  multiply: (x: Tensor, kernel: Kernel) => Tensor,
): Tensor {
  const mapped = multiply(x, kernel) // [..., out]
  return a === undefined || b === undefined ? mapped : np.add(mapped, multiply(multiply(x, a), b)) // [..., out]
}
