import { flatten, treeMap } from '../../base/pytree.js'
import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import type { TensorTree } from '../../engine/api/tracing.js'

/** The sum of numbers that belong to the arrays of a tree, in order. Devices with parts of arrays add theirs up. */
export type AddUp = (numbers: readonly Tensor[]) => Tensor

/** The sum on one device. */
export const addUp: AddUp = numbers => numbers.reduce((a, b) => np.add(a, b))

/** The square root of the sum of squares of all elements of all arrays, shape []. */
export const globalNorm = (tree: TensorTree, total: AddUp = addUp): Tensor =>
  np.sqrt(total(flatten<Tensor>(tree).leaves.map(x => np.sum(np.square(x)))))

/**
 * Scales gradients down so that their global norm is at most `maxNorm` (Pascanu et al. 2013). Gradients with a smaller
 * norm stay equal bit for bit. Also returns the norm before clipping.
 */
export function clipByGlobalNorm<G extends TensorTree>(
  gradients: G,
  maxNorm: number,
  total?: AddUp,
): { gradients: G; norm: Tensor } {
  const norm = globalNorm(gradients, total)
  const scale = np.divide(maxNorm, np.maximum(norm, maxNorm))
  return { gradients: treeMap((g: Tensor) => np.multiply(g, scale), gradients) as G, norm }
}
