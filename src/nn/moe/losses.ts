import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import { weightedMean } from '../weighted-mean.js'

/**
 * The load-balancing loss (Switch Transformers, equations 4 to 6, without alpha): E * sum over experts of f P in each group, with f the
 * share of the group's tokens that chose the expert and P its mean probability; the mean over groups, weighted by their
 * tokens. 1 when perfectly balanced.
 */
export function loadBalancingLoss(fraction: Tensor, meanProbability: Tensor, tokens: Tensor): Tensor {
  const ofGroup = np.multiply(np.sum(np.multiply(fraction, meanProbability), { axis: 1 }), fraction.shape[1]) // [groups]
  return weightedMean(ofGroup, tokens) // []
}

/** The mean square of log(sum(exp(logits))) (Zoph et al. 2022, "ST-MoE", equation 5, without its coefficient). */
export const routerZLoss = (logits: Tensor, weights: Tensor): Tensor =>
  weightedMean(np.square(np.logsumexp(logits, { axis: 2 })), weights) // []
