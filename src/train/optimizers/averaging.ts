import { treeMap } from '../../base/pytree.js'
import * as np from '../../engine/api/np.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import type { Optimizer } from './optimizer.js'

/** The state of `averaging`: that of the optimizer it wraps, and the average of the parameters. */
export type AveragingState = { optimizer: TensorTree; average: TensorTree }

/**
 * An optimizer that also keeps an exponential moving average of the parameters (Polyak and Juditsky 1992), updated
 * after each step:
 *
 *     average <- average + (1 - d) (p - average), with d = min(decay, (1 + t) / (10 + t)) and t = step
 *
 * The smaller decay of the first steps, as in TensorFlow's `ExponentialMovingAverage(num_updates)`, lets the average
 * forget the initial parameters.
 */
export function averaging(optimizer: Optimizer, decay: number): Optimizer {
  return {
    name: optimizer.name,

    // The average is an array of its own: a step donates both.
    init: params => ({ optimizer: optimizer.init(params), average: treeMap((p: Tensor) => np.add(p, 0), params) }),

    update(gradients, state, params, scalars) {
      const { optimizer: inner, average } = state as unknown as AveragingState
      const updated = optimizer.update(gradients, inner, params, scalars)
      const t = scalars.step
      const d = np.minimum(decay, np.divide(np.add(t, 1), np.add(t, 10))) // []
      const share = np.subtract(1, d) // []
      const move = (a: Tensor, p: Tensor): Tensor => np.add(a, np.multiply(share, np.subtract(p, a)))
      const newState: AveragingState = {
        optimizer: updated.state,
        average: treeMap(move, average, updated.params) as TensorTree,
      }
      return { params: updated.params, state: newState as unknown as typeof state }
    },
  }
}
