import { flatten, treeMap, unflatten } from '../../base/pytree.js'
import { check } from '../../base/errors.js'
import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import type { Optimizer } from './optimizer.js'

export interface AdamWOptions {
  /** Decay of the running mean of the gradients. */
  b1?: number
  /** Decay of the running mean of the squared gradients. */
  b2?: number
  epsilon?: number
  /** Each step subtracts this share of a parameter, times the learning rate. Vectors (norm scales) are not decayed. */
  weightDecay?: number
}

/**
 * Adam (Kingma and Ba 2015, algorithm 1) with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2):
 *
 *     m <- b1 m + (1 - b1) g          v <- b2 v + (1 - b2) g^2
 *     p <- p - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon) - rate weightDecay p
 *
 * with t = step + 1. Factors that are equal for all elements are computed once, as scalars. The rest is element-wise,
 * so that a backend can fuse it into one loop. State: `{ m, v }`, each a tree like the parameters.
 */
export function adamW({ b1 = 0.9, b2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: AdamWOptions = {}): Optimizer {
  return {
    name: 'adamW',

    init: params => ({ m: treeMap(zerosLike, params), v: treeMap(zerosLike, params) }),

    update(gradients, state, params, { learningRate, step }) {
      const t = np.add(step, 1)
      const stepSize = np.divide(learningRate, oneMinusPower(b1, t))
      const rootCorrection = np.rsqrt(oneMinusPower(b2, t))
      const kept = np.subtract(1, np.multiply(learningRate, weightDecay))

      const updateOne = (p: Tensor, g: Tensor, m: Tensor, v: Tensor): [Tensor, Tensor, Tensor] => {
        const newM = np.add(np.multiply(m, b1), np.multiply(g, 1 - b1))
        const newV = np.add(np.multiply(v, b2), np.multiply(np.square(g), 1 - b2))
        const root = np.add(np.multiply(np.sqrt(newV), rootCorrection), epsilon)
        const decayed = weightDecay > 0 && p.ndim > 1 ? np.multiply(p, kept) : p
        return [np.subtract(decayed, np.divide(np.multiply(newM, stepSize), root)), newM, newV]
      }

      const { def, leaves } = flatten<Tensor>(params)
      const { m, v } = state as unknown as { m: TensorTree; v: TensorTree }
      const [gs, ms, vs] = [gradients, m, v].map(tree => flatten<Tensor>(tree).leaves)
      check(
        [gs, ms, vs].every(list => list.length === leaves.length),
        'gradients and state must have the structure of the parameters',
      )
      const updated = leaves.map((p, i) => updateOne(p, gs[i], ms[i], vs[i]))
      const [newParams, newM, newV] = [0, 1, 2].map(part =>
        unflatten(
          def,
          updated.map(u => u[part]),
        ),
      )
      return { params: newParams as typeof params, state: { m: newM, v: newV } as unknown as typeof state }
    },
  }
}

const zerosLike = (p: Tensor): Tensor => np.zeros(p.shape)

/** 1 - base^t. By expm1, since the difference would lose all digits where base^t is close to 1. */
const oneMinusPower = (base: number, t: Tensor): Tensor => np.negative(np.expm1(np.multiply(t, Math.log(base))))
