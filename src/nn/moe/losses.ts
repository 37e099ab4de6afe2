import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import { oneDevice } from '../device-group.js'
import type { DeviceGroup } from '../device-group.js'
import { weightedMean } from '../weighted-mean.js'

/**
 * The load-balancing loss (Switch Transformers, equations 4 to 6, without alpha). For a group of E experts it is
 * E * sum(f * P) over experts, where `fraction` f [groups, experts] is the share of the group's tokens that chose the
 * expert and `meanProbability` P [groups, experts] is its mean probability. Returns the mean over groups, weighted by
 * `tokens` [groups]. It is 1 at perfect balance. On several devices, each of which has some groups, it is this device's
 * share of the loss: see `weightedMean`.
 */
export function loadBalancingLoss(
  fraction: Tensor,
  meanProbability: Tensor,
  tokens: Tensor,
  devices: DeviceGroup = oneDevice,
): Tensor {
  const ofGroup = np.multiply(np.sum(np.multiply(fraction, meanProbability), { axis: 1 }), fraction.shape[1]) // [groups]
  return weightedMean(ofGroup, tokens, devices) // []
}

/**
 * The router z-loss (Zoph et al. 2022, "ST-MoE", equation 5, without its coefficient): the mean square of
 * log(sum(exp(logits))) over tokens, weighted by `weights` [groups, tokens]. Logits are [groups, tokens, experts]. On
 * several devices it is this device's share.
 */
export const routerZLoss = (logits: Tensor, weights: Tensor, devices: DeviceGroup = oneDevice): Tensor =>
  weightedMean(np.square(np.logsumexp(logits, { axis: 2 })), weights, devices) // []
