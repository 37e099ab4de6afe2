import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'

/** sum(x * weights) / sum(weights), a scalar. x and weights have one shape. 0 if all weights are 0. */
export const weightedMean = (x: Tensor, weights: Tensor): Tensor =>
  np.divide(np.sum(np.multiply(x, weights)), np.maximum(np.sum(weights), 1e-9)) // []
