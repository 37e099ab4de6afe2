import type { ModelConfig, RouterConfig, StackName } from '../model/config.js'
import { expertCapacity } from '../nn/moe/groups.js'

/** The sizes of a batch, or of one of the parts that it is computed in. */
export interface BatchSize {
  readonly rows: number
  readonly inputLength: number
  readonly targetLength: number
}

/**
 * How many slots experts compute for each token of a stack. Each part of the batch is routed in groups of its own, so
 * that only routed tokens cross devices. With many experts and small groups, the smallest capacity of an expert makes
 * this much more than `router.trainCapacityFactor`.
 */
export function slotsPerToken(
  { numExperts }: Pick<ModelConfig, 'numExperts'>,
  router: RouterConfig,
  batch: BatchSize,
  shards: number,
): Record<StackName, number> {
  const ofStack = (length: number): number => {
    const tokens = batch.rows * length
    const { trainCapacityFactor: factor, selectedExperts, minExpertCapacity } = router
    if (factor === null && router.expertCapacity === null) return selectedExperts
    const groupSize = tokens / groupsOver(tokens, router.maxGroupSize, shards)
    const capacity =
      router.expertCapacity ?? expertCapacity(factor ?? 1, groupSize, Math.max(1, numExperts), minExpertCapacity)
    return (Math.min(capacity, groupSize) * numExperts) / groupSize
  }
  return { encoder: ofStack(batch.inputLength), decoder: ofStack(batch.targetLength) }
}

/** The smallest number of equal groups of at most `maxGroupSize` tokens that can be divided into so many parts. */
function groupsOver(tokens: number, maxGroupSize: number, shards: number): number {
  let groups = Math.ceil(tokens / maxGroupSize / shards) * shards
  while (tokens % groups !== 0) groups += shards
  return groups
}
