import * as z from 'zod'
import type { TaskDefinition } from '../data/define-task.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { Meaning } from '../model/meaning.js'
import type { Router } from '../nn/moe/router.js'
import type { RunConfig, TrainConfig } from '../train/config.js'
import type { Optimizer } from '../train/optimizers/optimizer.js'
import type { OptimizerConfig } from '../train/optimizers/optimizers.js'
import type { Schedule, ScheduleConfig } from '../train/optimizers/schedules.js'
import type { SparseRules } from './sparse-layers.js'
import type { TrainerHooks } from '../train/values.js'

/**
 * The content of a user's `switchyard.config.ts`: what the commands find by name besides the built-in tasks and
 * recipes.
 */
export interface UserConfig {
  /** Tasks and mixtures: `train NAME`, `finetune MODEL --task NAME`, `data inspect NAME`. */
  readonly tasks?: readonly TaskDefinition[]
  /** Recipes: `train NAME`. */
  readonly recipes?: Readonly<Record<string, UserRecipe>>
  /** Functions that every training in this folder calls. */
  readonly hooks?: TrainerHooks
}

/**
 * A run in the user's own terms. Settings that it leaves out come from `base`, or without one from the recipe g2p, with
 * rows and steps that fit the task's data.
 */
export interface UserRecipe {
  readonly base?: RunConfig
  /** A task, or the name of a built-in one or of one in `tasks`. */
  readonly task: TaskDefinition | string
  readonly model?: Partial<ModelConfig> & SparseRules
  /** Settings of a built-in router, or a router of the user's own. */
  readonly router?: Partial<RouterConfig> | Router
  /** What the model computes, where it is none of the built-in meanings (`model.reference`). */
  readonly meaning?: Meaning
  readonly train?: Partial<Omit<TrainConfig, 'optimizer' | 'schedule'>> & {
    /** Settings that are left out come from `base`; of another kind, from its defaults. */
    readonly optimizer?: Partial<OptimizerConfig> | Optimizer
    readonly schedule?: Partial<ScheduleConfig> | Schedule
  }
}

/** Checks the types of a `switchyard.config.ts`, and returns it unchanged. */
export const defineConfig = (config: UserConfig): UserConfig => config

const isDefinition = (value: unknown): boolean => {
  const { name, load } = (value ?? {}) as Partial<TaskDefinition>
  return typeof name === 'string' && typeof load === 'function'
}
const definition = z.custom<TaskDefinition>(isDefinition, 'must be what defineTask or defineMixture returns')
const callback = z.custom<() => void>(value => typeof value === 'function', 'must be a function').optional()
const settings = z.looseObject({}).optional()

/** What a file may hold, where no compiler has checked its types. A recipe's settings are checked when it is used. */
export const userConfigSchema = z.strictObject({
  tasks: z.array(definition).optional(),
  recipes: z
    .record(
      z.string(),
      z.strictObject({
        base: settings,
        task: z.custom<TaskDefinition | string>(
          value => typeof value === 'string' || isDefinition(value),
          'must be a task, or the name of one',
        ),
        model: settings,
        router: z.unknown().optional(),
        meaning: z
          .custom<Meaning>(
            value => typeof (value as Partial<Meaning> | null)?.name === 'string',
            'must be a meaning with a name',
          )
          .optional(),
        train: settings,
      }),
    )
    .optional(),
  hooks: z.strictObject({ onStep: callback, onValidation: callback, onCheckpoint: callback }).optional(),
}) satisfies z.ZodType<{ readonly [K in keyof UserConfig]: unknown }>
