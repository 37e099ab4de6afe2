import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import type { DType } from '../base/dtypes.js'
import { bitsOf, dequantize, isQuantized } from './quantized.js'
import type { Kernel } from './quantized.js'
import { rowsAt } from './rows.js'

/**
 * A vector for each token [vocab, dModel]. A quantized embedding is the quantized kernel [dModel, vocab] of the output
 * projection, whose stored order, outputs first, is that of the embedding.
 */
export type Embedding = Kernel

/** The vectors of token ids [batch, length]. */
export function embed(embedding: Embedding, tokens: Tensor, dModel: number, dtype: DType): Tensor {
  if (!isQuantized(embedding)) return np.astype(rowsAt(embedding, tokens), dtype) // [batch, length, dModel]
  const rows = { values: rowsAt(embedding.values, tokens), scales: rowsAt(embedding.scales, tokens) } // [batch, length, blocks, ...]
  return np.astype(dequantize(rows, bitsOf(embedding, dModel)), dtype) // [batch, length, dModel]
}

/** The embedding as a projection to the vocabulary [dModel, vocab]. */
export const projection = (embedding: Embedding): Kernel =>
  isQuantized(embedding) ? embedding : np.transpose(embedding) // [dModel, vocab]
