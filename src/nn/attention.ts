import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { dense } from './dense.js'
import type { DenseParams } from './dense.js'
import type { Noise } from './noise.js'
import { softmax } from './softmax.js'

export type AttentionParams = {
  query: DenseParams // [dModel, heads * headDim], as key and value
  key: DenseParams
  value: DenseParams
  out: DenseParams // [heads * headDim, dModel]
}

export type KeysAndValues = {
  keys: Tensor // [batch, heads, length, headDim]
  values: Tensor // [batch, heads, length, headDim]
}

/**
 * The bias on the score of a masked key. It is so large that a query with no visible key attends to all keys equally.
 */
export const HIDDEN_BIAS = -1e10

/** A mask, true where a query sees a key, as a bias on attention scores. */
export const maskBias = (mask: Tensor): Tensor => np.where(mask, 0, HIDDEN_BIAS) // [batch, 1, query, key]

/** Projects x [batch, length, dModel] and separates the heads. */
function projectHeads(params: DenseParams, x: Tensor, numHeads: number): Tensor {
  const projected = dense(params, x) // [batch, length, heads * headDim]
  const [batch, length, width] = projected.shape
  return np.transpose(np.reshape(projected, [batch, length, numHeads, width / numHeads]), [0, 2, 1, 3]) // [batch, heads, length, headDim]
}

export const keysAndValues = (params: AttentionParams, x: Tensor, numHeads: number): KeysAndValues => ({
  keys: projectHeads(params.key, x, numHeads),
  values: projectHeads(params.value, x, numHeads),
})

/** The queries of x [batch, length, dModel]. */
export const queriesOf = (params: AttentionParams, x: Tensor, numHeads: number): Tensor =>
  projectHeads(params.query, x, numHeads) // [batch, heads, length, headDim]

/** Multi-head attention of x [batch, query, dModel]: see `attend`. */
export const attention = (
  params: AttentionParams,
  x: Tensor,
  keysValues: KeysAndValues,
  bias: Tensor,
  noise: Noise,
  dropoutRate = 0,
): Tensor => attend(params, queriesOf(params, x, keysValues.keys.shape[1]), keysValues, bias, noise, dropoutRate) // [batch, query, dModel]

/**
 * Multi-head attention (Vaswani et al. 2017) of queries [batch, heads, query, headDim]. As in T5, scores are not
 * divided by sqrt(headDim), and `bias`, which broadcasts to [batch, heads, query, key], is added to them. Computed in
 * the dtype of the queries, as in Flaxformer. One dropout mask is shared by all queries.
 */
export function attend(
  params: Pick<AttentionParams, 'out'>,
  queries: Tensor,
  { keys, values }: KeysAndValues,
  bias: Tensor,
  noise: Noise,
  dropoutRate = 0,
): Tensor {
  const [batch, , length] = queries.shape
  const scores = np.einsum('bhqd,bhkd->bhqk', queries, keys) // [batch, heads, query, key]
  const probabilities = softmax(np.add(scores, np.astype(bias, queries.dtype))) // [batch, heads, query, key]
  const kept = noise.dropout(probabilities, dropoutRate, 2) // [batch, heads, query, key]
  const mixed = np.einsum('bhqk,bhkd->bqhd', kept, values) // [batch, query, heads, headDim]
  return dense(params.out, np.reshape(mixed, [batch, length, -1])) // [batch, query, dModel]
}
