import type { Array } from '../engine/api/array.js'
import { composite } from '../engine/api/composite.js'
import * as np from '../engine/api/np.js'

export type NormParams = { scale: Array } // [dModel]

const last = { axis: -1, keepdims: true }

/**
 * x / rms(x) * scale over the last axis: no mean is subtracted, there is no bias (Zhang and Sennrich 2019, "Root Mean
 * Square Layer Normalization"). The mean square is taken in float32; the result has x's dtype.
 */
export function rmsNorm({ scale }: NormParams, x: Array, epsilon: number): Array {
  const wide = np.astype(x, 'float32')
  return np.astype(float32Norm(epsilon)(wide, np.astype(scale, 'float32')), x.dtype)
}

const float32Norm = (epsilon: number): ((x: Array, scale: Array) => Array) => {
  const inverseRms = (x: Array): Array => np.rsqrt(np.add(np.mean(np.square(x), last), epsilon)) // [..., 1]
  const norm = (x: Array, scale: Array): Array => np.multiply(np.multiply(x, inverseRms(x)), scale)
  return composite('rms_norm', norm, {
    vjp: {
      forward: (x, scale) => [norm(x, scale), { x, scale }],
      // With n = x r and r = 1/rms(x): dx = r (dn - n mean(dn n)).
      backward: ({ x, scale }: { x: Array; scale: Array }, ct) => {
        const r = inverseRms(x)
        const n = np.multiply(x, r)
        const dn = np.multiply(ct, scale)
        const dx = np.multiply(r, np.subtract(dn, np.multiply(n, np.mean(np.multiply(dn, n), last))))
        const leading = x.shape.slice(0, -1).map((_, axis) => axis)
        return [dx, np.sum(np.multiply(ct, n), { axis: leading })]
      },
    },
  })
}
