import { SwitchyardError } from '../base/errors.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { maskBias } from '../nn/attention.js'
import { biasOfDistances, relativePositionBias } from '../nn/relative-bias.js'
import type { RelativePositions } from '../nn/relative-bias.js'
import { stackLayers } from './config.js'
import type { ModelConfig, StackName } from './config.js'
import { meaningOf } from './meaning.js'
import type { ForwardOptions, ModelParams } from './types.js'

/** The number of relative position tables in a stack: one that its layers share, or one for each layer. */
export const countPositionBiases = (config: ModelConfig, stack: StackName): number =>
  config.relativePositionBias === 'perLayer' ? stackLayers(config, stack).length : 1

/** A stack's relative position tables, [heads, buckets] each. Throws a SwitchyardError if the parameters lack one. */
export function positionTables(params: ModelParams, stack: StackName, config: ModelConfig): Tensor[] {
  return Array.from({ length: countPositionBiases(config, stack) }, (_, i) => {
    const table = (config.relativePositionBias === 'perLayer' ? params[stack][`layers_${i}`] : params[stack])
      .relpos_bias
    if (table === undefined)
      throw new SwitchyardError(
        `relativePositionBias is ${config.relativePositionBias}, but the parameters of the ${stack} have no relpos_bias there`,
      )
    return table.rel_embedding
  })
}

type PositionOptions = Pick<ForwardOptions, 'config' | 'meaning'>

const positionsOf = (stack: StackName, options: PositionOptions): RelativePositions => ({
  numBuckets: options.config.relativePositionBuckets,
  maxDistance: options.config.relativePositionMaxDistance,
  bidirectional: stack === 'encoder',
  epsilon: meaningOf(options).relativeDistanceEpsilon,
})

/** The relative position biases of a stack's tables for queries and keys of one length. */
export const positionBiases = (
  tables: readonly Tensor[],
  stack: StackName,
  length: number,
  options: PositionOptions,
): Tensor[] => tables.map(table => relativePositionBias(table, length, length, positionsOf(stack, options))) // [1, heads, query, key] each

/** For each of a stack's tables the bias of every distance: see `biasOfDistances`. */
export const distanceBiases = (tables: readonly Tensor[], stack: StackName, options: PositionOptions): Tensor[] =>
  tables.map(table => biasOfDistances(table, positionsOf(stack, options))) // [heads, distances] each

/** Relative position biases plus a mask (true where a query sees a key) as a bias. */
export function addMask(biases: readonly Tensor[], mask: Tensor): Tensor[] {
  const hiding = maskBias(mask) // [batch, 1, query, key]
  return biases.map(bias => np.add(bias, hiding)) // [batch, heads, query, key] each
}

/** The bias of one layer: its own, or the one that all layers share. */
export const biasOfLayer = (biases: readonly Tensor[], layer: number): Tensor => biases[layer % biases.length]
