import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { gelu, relu, silu } from './activations.js'
import { dense } from './dense.js'
import type { DenseParams } from './dense.js'
import type { Noise } from './noise.js'

/**
 * T5 1.0's kernels `wi` [dModel, dFf] and `wo` [dFf, dModel]. T5 1.1 has a gated pair `wi_0`, `wi_1` instead of `wi`.
 */
export type MlpParams = { wi: DenseParams; wo: DenseParams } | { wi_0: DenseParams; wi_1: DenseParams; wo: DenseParams }

/** The activation functions of feed-forward networks. `gelu` is exact; `geluTanh` is its tanh approximation. */
export const feedForwardActivations = {
  relu,
  gelu: (x: Tensor): Tensor => gelu(x, { approximate: false }),
  geluTanh: (x: Tensor): Tensor => gelu(x),
  silu,
} satisfies Record<string, (x: Tensor) => Tensor>

/** The name of an activation function of feed-forward networks. */
export type Activation = keyof typeof feedForwardActivations

/**
 * The hidden activations. `map` multiplies the input by a kernel: here it is `dense`, in moe/ a batched or ragged
 * matmul.
 */
export function hiddenActivations(
  params: MlpParams,
  activation: Activation,
  map: (kernel: DenseParams) => Tensor,
): Tensor {
  const f = feedForwardActivations[activation]
  return 'wi' in params ? f(map(params.wi)) : np.multiply(f(map(params.wi_0)), map(params.wi_1)) // [..., dFf]
}

/** The feed-forward sublayer: f(x wi) wo, or gated (f(x wi_0) * x wi_1) wo (Shazeer 2020, "GLU Variants"). */
export function mlp(params: MlpParams, x: Tensor, activation: Activation, noise: Noise, dropoutRate = 0): Tensor {
  const hidden = hiddenActivations(params, activation, kernel => dense(kernel, x)) // [batch, length, dFf]
  return dense(params.wo, noise.dropout(hidden, dropoutRate, 1)) // [batch, length, dModel]
}
