import type { ModelConfig, RouterConfig } from '../model/config.js'
import { lossFunction } from '../model/loss.js'
import type { Meaning } from '../model/meaning.js'
import type { Batch, ModelParams } from '../model/types.js'
import * as np from '../engine/api/np.js'
import type { Router } from '../nn/moe/router.js'
import type { TrainConfig } from './config.js'
import { distillationOf } from './distillation/teacher.js'
import type { Teacher } from './distillation/teacher.js'
import type { DistillConfig } from './distillation/config.js'
import type { SpreadOptions } from './parallel/spread.js'
import type { Loss } from './step.js'

/** Values that a program supplies instead of those that the configuration names. */
export interface CustomModelValues {
  readonly router?: Router
  readonly meaning?: Meaning
}

/** A teacher, and the weights of its part of the loss. */
export interface TeacherInLoss {
  readonly teacher: Teacher
  readonly weights: Omit<DistillConfig, 'teacher'>
}

/** The settings of `TrainConfig` that change the loss. */
export type LossSettings = Pick<TrainConfig, 'labelSmoothing' | 'zLoss' | 'remat' | 'scanLayers' | 'dropoutFrom'>

/** A model's training loss, as `makeTrainStep` takes it. */
export const trainingLoss =
  (
    config: ModelConfig,
    router: RouterConfig,
    { labelSmoothing, zLoss, remat, scanLayers, dropoutFrom = 0 }: Partial<LossSettings> = {},
    { router: customRouter, meaning }: CustomModelValues = {},
    distilled?: TeacherInLoss,
    spread: SpreadOptions = {},
  ): Loss<Batch> =>
  (params, batch, key, step) =>
    lossFunction(params as ModelParams, batch, {
      config,
      router,
      customRouter,
      meaning,
      mode: 'train',
      key,
      labelSmoothing,
      zLossFactor: zLoss ?? undefined,
      remat,
      ...spread,
      scanLayers,
      distillation: distilled && distillationOf(distilled.teacher, distilled.weights, batch),
      dropoutActive: dropoutFrom === 0 ? undefined : np.greaterEqual(step, dropoutFrom),
    })
