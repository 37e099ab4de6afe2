import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import type { DType } from '../base/dtypes.js'
import { bitsOf, dequantizeBlocks, isByColumn, isQuantized } from './quantized.js'
import type { Kernel } from './quantized.js'
import { rowsAt } from './rows.js'

/**
 * A vector for each token [vocab, dModel]. A quantized embedding is the output projection's kernel [dModel, vocab] in
 * quantized form. In blocks, that form has outputs first, as the embedding has. In the other form, the values are
 * transposed: [vocab, dModel], with a scale for each token.
 */
export type Embedding = Kernel

/** The vectors of token ids [batch, length]. */
export function embed(embedding: Embedding, tokens: Tensor, dModel: number, dtype: DType): Tensor {
  if (!isQuantized(embedding)) return np.astype(rowsAt(embedding, tokens), dtype) // [batch, length, dModel]
  const rows = { values: rowsAt(embedding.values, tokens), scales: rowsAt(embedding.scales, tokens) } // [batch, length, ...]
  const vectors = isByColumn(rows)
    ? np.multiply(np.astype(rows.values, 'float32'), np.expandDims(rows.scales, -1)) // [batch, length, dModel]
    : dequantizeBlocks(rows, bitsOf(embedding, dModel)) // [batch, length, dModel]
  return np.astype(vectors, dtype) // [batch, length, dModel]
}

/** The embedding as a projection to the vocabulary [dModel, vocab]. */
export function projection(embedding: Embedding): Kernel {
  if (!isQuantized(embedding)) return np.transpose(embedding) // [dModel, vocab]
  return isByColumn(embedding) ? { values: np.transpose(embedding.values), scales: embedding.scales } : embedding
}
