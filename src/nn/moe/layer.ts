import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import type { Constrain } from '../constrain.js'
import { dense } from '../dense.js'
import type { DenseParams } from '../dense.js'
import { oneDevice } from '../device-group.js'
import type { DeviceGroup, ExpertGroup } from '../device-group.js'
import type { Activation, MlpParams } from '../mlp.js'
import type { Noise } from '../noise.js'
import { softmax } from '../softmax.js'
import { checkAssignment } from './check-assignment.js'
import { bufferSlots, raggedSlots } from './dispatch.js'
import type { Slots } from './dispatch.js'
import { experts } from './experts.js'
import { fromGroups, toGroups } from './groups.js'
import type { TokenGroups } from './groups.js'
import { loadBalancingLoss, routerZLoss } from './losses.js'
import type { Assignment, Router } from './router.js'
import { spreadExperts } from './spread-experts.js'
import { routerStatistics } from './statistics.js'
import type { RouterRecord } from './types.js'

/** The router's linear map [dModel, experts], and perhaps a bias [experts]. */
export type RouterWeights = Omit<DenseParams, 'kernel'> & { kernel: Tensor; bias?: Tensor }

export type MoeParams = {
  router: { router_weights: { w: RouterWeights } }
  expert: MlpParams // kernels [experts, in, out]
}

export interface MoeOptions {
  router: Router
  groups: TokenGroups
  /** The ids of the tokens [batch, length], for routers that read them; null if they are not known. */
  tokenIds: Tensor | null
  /** See `RoutingContext`. */
  capacityShare: number
  /** The number of tokens of a group that an expert takes; null: all that choose it. */
  capacity: number | null
  /** Whether tokens that are not routed still count, as zeros, in the losses' means (T5X). */
  countMasked: boolean
  jitterNoise: number
  /** Whether the jitter noise reaches the experts too (HF), or only the router. */
  jitterExperts: boolean
  activation: Activation
  expertDropoutRate: number
  /** Lays activations out over several devices: see `spreadExperts`. Left out on one device. */
  constrain?: Constrain
  /** The devices that share the batch, if each runs the layer on its own rows. Default: one. */
  devices?: DeviceGroup
}

/**
 * The sparse feed-forward sublayer of x [batch, length, dModel]. A token's output is the sum of its experts' outputs,
 * each times its gate (Switch Transformers, equation 2); 0 if every expert that it chose was full. Only tokens where
 * `mask` [batch, length] is true are routed; null: all. The router and the output are float32, whatever the dtype of x.
 */
export function moeLayer(
  params: MoeParams,
  x: Tensor,
  mask: Tensor | null,
  options: MoeOptions,
  noise: Noise,
): RouterRecord {
  const { groups, capacity } = options
  const { numGroups, tokensPerGroup } = groups
  const { constrain = x => x, devices = oneDevice } = options
  const grouped = constrain(toGroups(x, groups), ['group', 'length', 'embed']) // [groups, tokens, dModel]
  const groupedMask = mask && toGroups(mask, groups) // [groups, tokens]
  const present = groupedMask ? np.astype(groupedMask, 'float32') : np.ones([numGroups, tokensPerGroup]) // [groups, tokens]

  const jittered = noise.jitter(np.astype(grouped, 'float32'), options.jitterNoise) // [groups, tokens, dModel]
  const routed = routerLogits(params.router.router_weights.w, jittered) // [groups, tokens, experts]
  const ofPresent = (y: Tensor): Tensor => (groupedMask ? np.multiply(y, np.expandDims(present, 2)) : y) // [groups, tokens, experts]
  const logits = ofPresent(routed) // [groups, tokens, experts]
  const probabilities = ofPresent(softmax(routed)) // [groups, tokens, experts]
  const numExperts = logits.shape[2]

  const { router } = options
  const assignment = router.assign({ logits, probabilities }, groupedMask, capacity, {
    tokenIds: options.tokenIds && toGroups(options.tokenIds, groups),
    key: router.isRandom ? noise.key() : null,
    capacityShare: options.capacityShare,
  })
  checkAssignment(router, assignment, probabilities)
  const { expert, position, kept, gate, choice } = assignment
  const seen = options.jitterExperts ? np.astype(jittered, x.dtype) : grouped // [groups, tokens, dModel]
  const outputs = expertOutputs(params.expert, seen, assignment, numExperts, options, noise) // [tokens, choices, dModel]
  const gates = np.reshape(gate, [...outputs.shape.slice(0, 2), 1]) // [tokens, choices, 1]
  const gated = np.sum(np.multiply(outputs, gates), { axis: 1 }) // [tokens, dModel]

  const weights = options.countMasked ? np.ones([numGroups, tokensPerGroup]) : present // [groups, tokens]
  const ofGroups = (x: Tensor): Tensor => (groups.spansDevices ? devices.total(x) : x) // x's shape
  const groupTokens = ofGroups(np.sum(weights, { axis: 1 })) // [groups]
  const perToken = (total: Tensor): Tensor => np.divide(total, np.maximum(np.expandDims(groupTokens, 1), 1)) // [groups, experts]
  const fraction = perToken(ofGroups(np.sum(choice, { axis: 1 }))) // [groups, experts]
  // Of a group on several devices, each device has a part whose mean over the devices is the mean over the group.
  const parts = groups.spansDevices ? devices.size : 1
  const meanProbability = perToken(np.multiply(np.sum(probabilities, { axis: 1 }), parts)) // [groups, experts]
  return {
    logits,
    probabilities,
    expert,
    position,
    kept,
    gate,
    fraction,
    meanProbability,
    auxLoss: router.isBalanced ? np.zeros([]) : loadBalancingLoss(fraction, meanProbability, groupTokens, devices),
    zLoss: routerZLoss(logits, weights, devices),
    statistics: routerStatistics(
      logits,
      probabilities,
      assignment,
      present,
      capacity === null ? null : numExperts * numGroups * capacity,
      devices,
    ),
    output: fromGroups(gated, groups, x.shape[0], x.shape[1]),
  }
}

/** The outputs of each token's experts, of x [groups, tokens, dModel]. */
function expertOutputs(
  params: MlpParams,
  x: Tensor,
  assignment: Assignment,
  numExperts: number,
  { capacity, activation, expertDropoutRate, constrain, devices = oneDevice }: MoeOptions,
  noise: Noise,
): Tensor {
  if (constrain && capacity !== null) {
    const sizes = { numExperts, capacity }
    return spreadExperts(params, x, assignment, sizes, activation, noise, expertDropoutRate, constrain) // [tokens, choices, dModel]
  }
  const tokens = np.reshape(x, [-1, x.shape[2]]) // [tokens, dModel]
  const apply = (inputs: Tensor, slots: Slots): Tensor =>
    experts(params, inputs, slots, activation, noise, expertDropoutRate, devices.experts) // [tokens, choices, dModel]
  if (capacity !== null) return apply(tokens, bufferSlots(assignment, numExperts, capacity)) // [tokens, choices, dModel]
  if (devices.experts === null) return apply(tokens, raggedSlots(assignment, numExperts)) // [tokens, choices, dModel]
  // How many tokens choose an expert is not known in advance: every device gets all tokens, and its experts take
  // theirs.
  const { gather, scatterSum } = devices.experts
  const slots = raggedSlots(ownChoices(assignment, numExperts, devices.experts), numExperts / devices.experts.size)
  return scatterSum(apply(gather(tokens), slots)) // [tokens, choices, dModel]
}

/**
 * The choices of the tokens of all devices, as choices of this device's experts: those of other experts are not kept.
 */
function ownChoices(
  { expert, kept }: Pick<Assignment, 'expert' | 'kept'>,
  numExperts: number,
  group: ExpertGroup,
): Pick<Assignment, 'expert' | 'kept'> {
  const own = numExperts / group.size
  const chosen = group.gather(np.reshape(np.where(kept, expert, -1), [-1, expert.shape[2]])) // [tokens, choices]
  const local = np.subtract(np.expandDims(chosen, 0), np.multiply(group.place(), own)) // [1, tokens, choices]
  return { expert: local, kept: np.logicalAnd(np.greaterEqual(local, 0), np.less(local, own)) }
}

/** The router's float32 logits of x [groups, tokens, dModel]. */
function routerLogits({ bias, ...params }: RouterWeights, x: Tensor): Tensor {
  const logits = dense(params, x) // [groups, tokens, experts]
  return bias ? np.add(logits, np.astype(bias, 'float32')) : logits // [groups, tokens, experts]
}
