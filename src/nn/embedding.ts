import type { Array } from '../engine/api/array.js'
import * as np from '../engine/api/np.js'
import type { DType } from '../base/dtypes.js'

/** The rows of a table [vocab, dModel] for token ids [batch, length]. */
export const embed = (embedding: Array, tokens: Array, dtype: DType): Array =>
  np.astype(np.take(embedding, tokens, 0), dtype) // [batch, length, dModel]
