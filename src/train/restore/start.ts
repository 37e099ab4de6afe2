import { ConfigError } from '../../base/errors.js'
import type { Tree } from '../../base/pytree.js'
import type { CheckpointReader } from '../../checkpoint/format.js'
import type { Weights } from '../../checkpoint/weights.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import { expectedOf, readTree } from '../checkpointing.js'
import type { RunArrays } from '../model-parts.js'
import { layoutsByPath, parameterLayouts, putOnMesh } from '../parallel/arrays.js'
import type { TrainerParts } from '../parts.js'
import type { RunConfig } from '../config.js'
import { checkOptimizerState } from './optimizer-state.js'
import { planRestore } from './plan.js'
import type { RestorePlan } from './plan.js'
import { restoreParameters } from './restore.js'

/** The weights with which a run begins, instead of random ones. */
export interface StartingPoint {
  readonly weights: Weights
  /** The state of the optimizer that made the weights, if they are a run's. */
  readonly optimizer?: CheckpointReader
  /** The configuration of that run. */
  readonly config?: RunConfig
}

/** What a run began with. */
export interface Restored {
  readonly plan: RestorePlan
  readonly optimizer: 'fresh' | 'restored'
}

/**
 * A run's first arrays, from a starting point and by the rules of the run's configuration. Throws a ConfigError if the
 * weights do not fit, or have no optimizer state and it is to be restored.
 */
export async function restoreArrays(
  { config, specs, initKey, initialize, places, types, layouts }: TrainerParts,
  { weights, optimizer, config: before }: StartingPoint,
): Promise<{ arrays: RunArrays; restored: Restored }> {
  const { rules = [], optimizer: state = 'fresh' } = config.from ?? {}
  if (state === 'restored' && optimizer === undefined)
    throw new ConfigError(
      before === undefined
        ? `${weights.path}: these weights come without an optimizer's state, which only runs have: leave out from.optimizer=restored`
        : `${weights.path}: the optimizer's state of this checkpoint is missing or damaged: give the folder of an older checkpoint of the run, or leave out from.optimizer=restored`,
    )
  checkOptimizerState(config, before)
  const plan = planRestore(specs, weights, rules)
  const mesh = layouts && { ...layouts, layouts: parameterLayouts(layouts) }
  const params = await restoreParameters(specs, plan, weights, initKey, mesh)
  const restored = { plan, optimizer: state }
  if (state === 'fresh') return { arrays: initialize(params), restored }
  const on = layouts && places.stored(layouts)
  const ofOptimizer = expectedOf(places.stored(types()).optimizer)
  const stored = {
    params: (mesh ? putOnMesh(params as unknown as TensorTree, mesh.layouts) : params) as Tree<Tensor>,
    optimizer: await readTree(optimizer!, ofOptimizer, on && layoutsByPath(on.optimizer)),
  }
  return { arrays: places.live<Tensor>(stored) as RunArrays, restored }
}
