import type { Tensor } from '../engine/api/tensor.js'
import { composite } from '../engine/api/composite.js'
import * as np from '../engine/api/np.js'

const last = { axis: -1, keepdims: true }

function softmaxOf(x: Tensor): Tensor {
  const exponentials = np.exp(np.subtract(x, np.max(x, last))) // [..., n]
  return np.divide(exponentials, np.sum(exponentials, last)) // [..., n]
}

/** exp(x) / sum(exp(x)) over the last axis, without overflow. */
export const softmax: (x: Tensor) => Tensor = composite('softmax', softmaxOf, {
  vjp: {
    forward: x => {
      const y = softmaxOf(x)
      return [y, y]
    },
    backward: (y: Tensor, ct) => [np.multiply(y, np.subtract(ct, np.sum(np.multiply(ct, y), last)))], // [..., n]
  },
})
