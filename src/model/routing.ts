import { missingValue } from '../base/custom.js'
import { expertCapacity, oneGroup } from '../nn/moe/groups.js'
import type { MoeOptions } from '../nn/moe/layer.js'
import { routers } from '../nn/moe/router.js'
import type { Router } from '../nn/moe/router.js'
import type { Pass } from './pass.js'
import type { ForwardOptions } from './types.js'

/** The caller's router, or the one that the configuration names. Throws a ConfigError if it names a custom router. */
function routerOf({ customRouter, router }: ForwardOptions): Router {
  if (customRouter) return customRouter
  if (router.custom !== undefined) throw missingValue('router', router.custom)
  return routers[router.kind]
}

/**
 * How a sparse layer routes tokens [batch, length]: by the caller's router, or by the one that the configuration names.
 * Tokens are divided into groups, in each of which an expert has a capacity. A dropless pass has no capacity, so it
 * needs one group only.
 */
export function moeOptions(
  { options, meaning, dropless }: Pick<Pass, 'options' | 'meaning' | 'dropless'>,
  batch: number,
  length: number,
): MoeOptions {
  const { config, router, mode } = options
  const { numExperts } = config
  const groups = dropless
    ? oneGroup(batch, length)
    : meaning.tokenGroups(batch, length, numExperts, router.maxGroupSize)
  const factor = mode === 'train' ? router.trainCapacityFactor : router.evalCapacityFactor
  const capacity =
    router.expertCapacity ?? expertCapacity(factor, groups.tokensPerGroup, numExperts, router.minExpertCapacity)
  return {
    router: routerOf(options),
    groups,
    capacity: dropless ? null : capacity,
    countMasked: meaning.countsUnroutedTokens,
    jitterNoise: mode === 'train' ? router.jitterNoise : 0,
    jitterExperts: meaning.jittersExperts,
    expertDropoutRate: mode === 'train' ? router.expertDropoutRate : 0,
  }
}
