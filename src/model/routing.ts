import { evenGroups, expertCapacity, fewestGroups, oneGroup, sequenceGroups } from '../nn/moe/groups.js'
import type { MoeOptions } from '../nn/moe/layer.js'
import { tokensChooseTop1 } from '../nn/moe/router.js'
import type { Router } from '../nn/moe/router.js'
import type { RouterConfig } from './config.js'
import type { Pass } from './pass.js'

const routers: { readonly [K in RouterConfig['kind']]: Router } = { tokensChoose: tokensChooseTop1 }

/**
 * How a sparse layer routes tokens [batch, length]. Training (and T5X's evaluation) divides them into groups, in which an
 * expert has a capacity: as few as may be, though T5X makes at least as many as experts (it spreads them over the
 * experts' devices), and HF's group is one sequence. Without capacity groups do not matter.
 */
export function moeOptions(
  { options, dropless }: Pick<Pass, 'options' | 'dropless'>,
  batch: number,
  length: number,
): MoeOptions {
  const { config, router, mode } = options
  const { reference, numExperts } = config
  const groups = dropless
    ? oneGroup(batch, length)
    : reference === 'hf'
      ? sequenceGroups(batch, length)
      : reference === 't5x'
        ? evenGroups(batch, length, numExperts, router.maxGroupSize)
        : fewestGroups(batch, length, router.maxGroupSize)
  const factor = mode === 'train' ? router.trainCapacityFactor : router.evalCapacityFactor
  const capacity =
    router.expertCapacity ?? expertCapacity(factor, groups.tokensPerGroup, numExperts, router.minExpertCapacity)
  return {
    router: routers[router.kind],
    groups,
    capacity: dropless ? null : capacity,
    countMasked: reference === 't5x',
    jitterNoise: mode === 'train' ? router.jitterNoise : 0,
    jitterExperts: reference === 'hf',
    expertDropoutRate: mode === 'train' ? router.expertDropoutRate : 0,
  }
}
