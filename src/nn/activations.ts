import type { Tensor } from '../engine/api/tensor.js'
import { composite } from '../engine/api/composite.js'
import * as np from '../engine/api/np.js'

/** max(x, 0), with derivative 0 at 0. */
export const relu: (x: Tensor) => Tensor = composite('relu', x => np.maximum(x, 0), {
  vjp: {
    forward: x => {
      const y = np.maximum(x, 0)
      return [y, y]
    },
    backward: (y: Tensor, ct) => [np.multiply(ct, np.astype(np.greater(y, 0), ct.dtype))],
  },
})

/** GELU by its tanh approximation (Hendrycks and Gimpel 2016), which is what T5 1.1 was trained with. */
export const gelu: (x: Tensor) => Tensor = composite('gelu', x => {
  const inner = np.multiply(np.add(x, np.multiply(np.multiply(np.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI))
  return np.multiply(np.multiply(x, 0.5), np.add(np.tanh(inner), 1))
})
