import { evenGroups, expertCapacity, oneGroup, sequenceGroups } from '../nn/moe/groups.js'
import type { MoeOptions } from '../nn/moe/layer.js'
import { tokensChooseTop1 } from '../nn/moe/router.js'
import type { ForwardOptions } from './types.js'

/**
 * How a sparse layer routes tokens [batch, length]. Training (and T5X's evaluation) divides them into groups, in which an
 * expert has a capacity; HF's group is one sequence. Switchyard's evaluation has no capacity, so that no token depends on another.
 */
export function moeOptions({ config, router, mode }: ForwardOptions, batch: number, length: number): MoeOptions {
  const { reference, numExperts } = config
  const dropless = reference === 'switchyard' && mode === 'eval'
  const groups = dropless ? oneGroup(batch, length)
    : reference === 'hf' ? sequenceGroups(batch, length)
      : evenGroups(batch, length, numExperts, router.maxGroupSize)
  const factor = mode === 'train' ? router.trainCapacityFactor : router.evalCapacityFactor
  const capacity = router.expertCapacity ?? expertCapacity(factor, groups.tokensPerGroup, numExperts, router.minExpertCapacity)
  return {
    router: tokensChooseTop1,
    groups,
    capacity: dropless ? null : capacity,
    countMasked: reference === 't5x',
    jitterNoise: mode === 'train' ? router.jitterNoise : 0,
    jitterExperts: reference === 'hf',
    expertDropoutRate: mode === 'train' ? router.expertDropoutRate : 0,
  }
}
