import { missingValue } from '../base/custom.js'
import { check } from '../base/errors.js'
import type { Tensor } from '../engine/api/tensor.js'
import { oneDevice } from '../nn/device-group.js'
import { expertCapacity, oneGroup, sequenceGroups } from '../nn/moe/groups.js'
import type { TokenGroups } from '../nn/moe/groups.js'
import type { MoeOptions } from '../nn/moe/layer.js'
import { routers } from '../nn/moe/routers/routers.js'
import type { Router } from '../nn/moe/router.js'
import type { RouterConfig, StackName } from './config.js'
import type { Pass } from './pass.js'
import type { ForwardOptions } from './types.js'

/**
 * The router of a stack: the caller's, or the one that the configuration names. Throws a ConfigError if it names a
 * custom router.
 */
export function routerOf(
  { customRouter, router }: Pick<ForwardOptions, 'customRouter' | 'router'>,
  stack: StackName,
): Router {
  if (customRouter) return customRouter
  if (router.custom !== undefined) throw missingValue('router', router.custom)
  const { kind, decoderKind, selectedExperts, batchPrioritized } = router
  const isDecoder = stack === 'decoder'
  return routers[(isDecoder ? decoderKind : null) ?? kind]({
    selectedExperts,
    batchPrioritized: batchPrioritized && !isDecoder,
  })
}

/** Whether the configured router of the decoder routes each token by itself, as generation does. */
export const canDecode = (router: RouterConfig): boolean =>
  router.custom !== undefined || routerOf({ router }, 'decoder').comparesTokens !== true

/**
 * How a sparse layer routes tokens [batch, length]. Tokens are divided into groups, in each of which an expert has a
 * capacity. A dropless pass has no capacity, so one group is enough; if the router compares tokens, each sequence is a
 * group, so that an answer does not depend on the rest of its batch.
 */
export function moeOptions(pass: Pass, tokenIds: Tensor): MoeOptions {
  const { options, meaning, stack } = pass
  const { config, router, mode } = options
  const { numExperts } = config
  const [batch, length] = tokenIds.shape
  const chosen = routerOf(options, stack)
  check(
    stack === 'encoder' || chosen.comparesTokens !== true,
    () =>
      `the router ${chosen.name} compares the tokens of a sequence, but the decoder generates them one by one: set router.decoderKind to another router, such as tokensChoose`,
  )
  const factor = mode === 'train' ? router.trainCapacityFactor : router.evalCapacityFactor
  const dropless = pass.dropless || chosen.isDropless === true || (factor === null && router.expertCapacity === null)
  const groups: TokenGroups = !dropless
    ? meaning.tokenGroups(batch, length, groupsMultiple(numExperts, options.devices), router.maxGroupSize)
    : chosen.comparesTokens
      ? sequenceGroups(batch, length)
      : oneGroup(batch, length)
  return {
    router: chosen,
    groups,
    tokenIds,
    capacityShare: (factor ?? 1) / numExperts,
    capacity: dropless
      ? null
      : (router.expertCapacity ?? expertCapacity(factor!, groups.tokensPerGroup, numExperts, router.minExpertCapacity)),
    countMasked: meaning.countsUnroutedTokens,
    jitterNoise: mode === 'train' ? router.jitterNoise : 0,
    jitterExperts: meaning.jittersExperts,
    activation: config.activation,
    expertDropoutRate: mode === 'train' ? router.expertDropoutRate : 0,
    constrain: options.constrain,
    devices: options.devices,
  }
}

/**
 * What the number of groups is a multiple of, for meanings that make it one of `numExperts`: the number of all devices'
 * groups together is.
 */
function groupsMultiple(numExperts: number, { size } = oneDevice): number {
  return numExperts % size === 0 ? numExperts / size : numExperts
}
