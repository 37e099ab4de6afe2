import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { Router } from '../nn/moe/router.js'
import { lossFunction } from '../model/loss.js'
import type { Batch, ModelParams } from '../model/types.js'
import type { Loss } from './step.js'

/** A model's training loss, as `makeTrainStep` takes it. `customRouter` is used instead of the configured router. */
export const trainingLoss =
  (config: ModelConfig, router: RouterConfig, customRouter?: Router): Loss<Batch> =>
  (params, batch, key) =>
    lossFunction(params as ModelParams, batch, { config, router, customRouter, mode: 'train', key })
