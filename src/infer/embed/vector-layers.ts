import { MIN_NORM } from '../../base/similarity.js'
import * as np from '../../engine/api/np.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { pool } from '../../nn/pooling.js'
import type { PoolingMode } from '../../nn/pooling.js'

/** Makes a text's vector from the vectors of its tokens: the modules that follow the encoder. */
export interface VectorHead {
  /** The results of several modes are concatenated. */
  readonly modes: readonly PoolingMode[]
  /** Whether the tokens of the prompt are pooled, too. */
  readonly includePrompt: boolean
  /** What a pooled vector passes through, in order. */
  readonly layers: readonly VectorLayer[]
}

export type VectorLayer = DenseLayer | { readonly kind: 'normalize' }

export interface DenseLayer {
  readonly kind: 'dense'
  readonly activation: (x: Tensor) => Tensor
  /** Whether the input is added to the output: see `DenseWeights.residual`. */
  readonly residual: boolean
}

/** The weights of a dense layer. */
export type DenseWeights = {
  kernel: Tensor // [in, out]
  bias?: Tensor // [out]
  /** Projects the input that is added to the output, if their sizes differ. */
  residual?: Tensor // [in, out]
}

/**
 * The vectors of texts [batch, size], from the vectors of their tokens [batch, length, dModel]. `mask` [batch, length]
 * is true at tokens that are pooled; `weights` are those of the dense layers, in order.
 */
export function applyHead(
  { modes, layers }: VectorHead,
  weights: readonly DenseWeights[],
  tokens: Tensor,
  mask: Tensor,
): Tensor {
  let x = np.concatenate(
    modes.map(mode => pool(mode, tokens, mask)),
    1,
  ) // [batch, size]
  let next = 0
  for (const layer of layers) x = layer.kind === 'dense' ? applyDense(layer, weights[next++], x) : normalized(x) // [batch, size]
  return x
}

function applyDense({ activation, residual }: DenseLayer, weights: DenseWeights, x: Tensor): Tensor {
  const mapped = np.matmul(x, weights.kernel) // [batch, out]
  const y = activation(weights.bias ? np.add(mapped, weights.bias) : mapped) // [batch, out]
  return residual ? np.add(y, weights.residual ? np.matmul(x, weights.residual) : x) : y // [batch, out]
}

/** x [batch, size] with rows of length 1. */
function normalized(x: Tensor): Tensor {
  const norm = np.sqrt(np.sum(np.square(x), { axis: 1, keepdims: true })) // [batch, 1]
  return np.divide(x, np.maximum(norm, MIN_NORM)) // [batch, size]
}
