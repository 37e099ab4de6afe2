import type { Array } from '../engine/api/array.js'
import * as np from '../engine/api/np.js'

export type DenseParams = { kernel: Array } // [in, out]

/** x W: a linear map of the last axis, without bias, computed in x's dtype. */
export function dense({ kernel }: DenseParams, x: Array): Array {
  const [inputs, outputs] = kernel.shape
  const rows = np.reshape(x, [-1, inputs]) // [rows, in]
  const mapped = np.matmul(rows, np.astype(kernel, x.dtype)) // [rows, out]
  return np.reshape(mapped, [...x.shape.slice(0, -1), outputs]) // [..., out]
}
