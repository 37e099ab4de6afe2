import type { DType } from '../base/dtypes.js'
import { memoized } from '../base/lru.js'
import type { Tensor } from '../engine/api/tensor.js'
import { composite } from '../engine/api/composite.js'
import * as np from '../engine/api/np.js'

export type NormParams = { scale: Tensor } // [dModel]

const last = { axis: -1, keepdims: true }

/**
 * x / rms(x) * scale over the last axis: no mean is subtracted and no bias added (Zhang and Sennrich 2019, "Root Mean
 * Square Layer Normalization"). x / rms(x) is computed in float32, rounded to `dtype`, and multiplied by the scale in
 * it.
 */
export function rmsNorm({ scale }: NormParams, x: Tensor, epsilon: number, dtype: DType = x.dtype): Tensor {
  const norm = (s: Tensor): Tensor => float32Norm(epsilon)(np.astype(x, 'float32'), s).normed // [..., dModel]
  if (dtype === 'float32') return norm(np.astype(scale, dtype)) // [..., dModel]
  return np.multiply(np.astype(norm(np.ones(scale.shape)), dtype), np.astype(scale, dtype)) // [..., dModel]
}

type Normed = {
  normed: Tensor // [..., dModel]
  inverseRms: Tensor // [..., 1]
}

/** The composite of each epsilon. A program has one or two. */
const float32Norm = memoized(8, (epsilon: number): ((x: Tensor, scale: Tensor) => Normed) => {
  const norm = (x: Tensor, scale: Tensor): Normed => {
    const inverseRms = np.rsqrt(np.add(np.mean(np.square(x), last), epsilon)) // [..., 1]
    return { normed: np.multiply(np.multiply(x, inverseRms), scale), inverseRms }
  }
  return composite('rms_norm', norm, {
    attributes: { epsilon },
    vjp: {
      forward: (x, scale) => {
        const output = norm(x, scale)
        return [output, { x, scale, r: output.inverseRms }]
      },
      // With r = 1/rms(x) and n = x r: dx = r (dn - n mean(dn n)). The cotangent dr of r adds -r n (r dr) / dModel
      // to dx. In second derivatives it is not 0, because this rule reads r.
      backward: ({ x, scale, r }: { x: Tensor; scale: Tensor; r: Tensor }, ct) => {
        const n = np.multiply(x, r) // [..., dModel]
        const dn = np.multiply(ct.normed, scale) // [..., dModel]
        const fromInverse = np.divide(np.multiply(ct.inverseRms, r), x.shape[x.ndim - 1]) // [..., 1]
        const along = np.add(np.mean(np.multiply(dn, n), last), fromInverse) // [..., 1]
        const dx = np.multiply(r, np.subtract(dn, np.multiply(n, along))) // [..., dModel]
        const leading = x.shape.slice(0, -1).map((_, axis) => axis)
        return [dx, np.sum(np.multiply(ct.normed, n), { axis: leading })] // [..., dModel], [dModel]
      },
    },
  })
})
