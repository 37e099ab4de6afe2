import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import type { DeviceGroup } from '../nn/device-group.js'
import { loadBalancingLoss } from '../nn/moe/losses.js'
import type { RouterRecord } from '../nn/moe/types.js'

/** The routers of one stack. */
export interface StackRouters {
  /** One for each sparse layer. */
  readonly records: readonly RouterRecord[]
  /** The stack's number of layers, sparse or dense. */
  readonly numLayers: number
  /** The devices that share the batch. The losses are this device's shares. Default: one. */
  readonly devices?: DeviceGroup
}

/** The load-balancing loss and the router z-loss of a model, before their factors are applied. */
export interface RouterLosses {
  auxLoss: Tensor // []
  zLoss: Tensor // []
}

/**
 * The mean over all sparse layers of both stacks, as Flaxformer (`moe_loss_fn` in t5x/contrib/moe/models.py). 0 without
 * any.
 */
export function meanRouterLosses(stacks: readonly StackRouters[]): RouterLosses {
  const records = stacks.flatMap(stack => stack.records)
  return { auxLoss: meanOf(records.map(r => r.auxLoss)), zLoss: meanOf(records.map(r => r.zLoss)) }
}

/** The sum of the stacks' losses, as Hugging Face's SwitchTransformersForConditionalGeneration. */
export function sumOfStackLosses(stacks: readonly StackRouters[]): RouterLosses {
  const losses = stacks.map(hfStackLosses)
  const sum = (terms: readonly Tensor[]): Tensor => terms.reduce((a, b) => np.add(a, b)) // []
  return { auxLoss: sum(losses.map(l => l.auxLoss)), zLoss: sum(losses.map(l => l.zLoss)) }
}

/**
 * Hugging Face's losses of one stack. It concatenates the layers before it takes means, so the load-balancing loss
 * multiplies means over layers. It returns 0 for a stack all of whose layers are sparse.
 */
export function hfStackLosses({ records, numLayers, devices }: StackRouters): RouterLosses {
  if (records.length === 0 || records.length === numLayers) return { auxLoss: np.zeros([]), zLoss: np.zeros([]) } // [] each
  const fraction = meanOf(records.map(r => r.fraction)) // [groups, experts]
  const meanProbability = meanOf(records.map(r => r.meanProbability)) // [groups, experts]
  return {
    auxLoss: loadBalancingLoss(fraction, meanProbability, np.ones([fraction.shape[0]]), devices),
    zLoss: meanOf(records.map(r => r.zLoss)),
  }
}

/** The mean of arrays of one shape; the scalar 0 if there are none. */
export function meanOf(xs: readonly Tensor[]): Tensor {
  if (xs.length === 0) return np.zeros([])
  const sum = xs.reduce((a, b) => np.add(a, b))
  return np.divide(sum, xs.length)
}
