import type { ModelConfig, RouterConfig } from '../model/config.js'
import { lossFunction } from '../model/loss.js'
import type { Batch, ModelParams } from '../model/types.js'
import type { Loss } from './step.js'

/** A model's training loss, as a step wants it. */
export const trainingLoss =
  (config: ModelConfig, router: RouterConfig): Loss<Batch> =>
  (params, batch, key) =>
    lossFunction(params as ModelParams, batch, { config, router, mode: 'train', key })
