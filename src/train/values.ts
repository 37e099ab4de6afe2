import { missingValue } from '../base/custom.js'
import type { SpecialIds } from '../base/special-ids.js'
import type { BatchStream } from '../data/batches/stream.js'
import type { TargetEos } from '../data/packing/target-eos.js'
import type { Task } from '../data/task.js'
import type { Metric } from '../metrics/metric.js'
import type { Meaning } from '../model/meaning.js'
import type { Router } from '../nn/moe/router.js'
import type { RunConfig } from './config.js'
import { checkTeacher, distillConfigOf } from './distillation/teacher.js'
import type { Teacher } from './distillation/teacher.js'
import type { Optimizer } from './optimizers/optimizer.js'
import type { Schedule } from './optimizers/schedules.js'
import type { Progress } from './reporter.js'
import type { Validation } from './validation.js'

/** Functions of a program that a run calls. They cannot change the run, so checkpoints do not name them. */
export interface TrainerHooks {
  /** Called after every step. */
  onStep?: (progress: Progress) => void
  /** Called after every validation; training goes on when the promise settles. */
  onValidation?: (validation: Validation) => void | Promise<void>
  /** Called when a checkpoint is in place. */
  onCheckpoint?: (checkpoint: SavedCheckpoint) => void | Promise<void>
}

/** A checkpoint that a run has saved. */
export interface SavedCheckpoint {
  readonly step: number
  readonly folder: string
}

/**
 * Values that a program supplies instead of the built-in ones that the configuration names. The run's checkpoints hold
 * their names only, so resuming needs the same values again.
 */
export interface TrainerValues extends TrainerHooks {
  task?: Task
  optimizer?: Optimizer
  schedule?: Schedule
  router?: Router
  meaning?: Meaning
  /** A model to learn from, with the weights in `RunConfig.distill`, or those of the Switch paper. */
  teacher?: Teacher
  /** The figures to score answers by, instead of the task's. */
  metrics?: readonly Metric[]
  /**
   * Makes the batches to train on, of the configured size, instead of packing the task's examples: see `SeqioBatches`.
   * One host's part of the data: `size => batchStream(taskStream(task, { ...size, shard }), { ...size, shard })`.
   */
  makeBatches?: (size: BatchSize) => BatchStream
}

/** The size of a training batch, the special ids of its model, the end of its targets, and the seed of its data. */
export interface BatchSize {
  readonly rows: number
  readonly inputLength: number
  readonly targetLength: number
  readonly specialIds: SpecialIds
  /** The EOS to replace at the end of targets, if the model does not end with that of the task's vocabulary. */
  readonly targetEos?: TargetEos
  readonly seed: number
}

/** Throws a ConfigError if a checkpoint's configuration names a custom value that is not supplied. */
export function checkSupplied(saved: unknown, values: TrainerValues): void {
  const { task, model, router, train, distill } = (saved ?? {}) as Partial<RunConfig>
  checkTeacher(distill, values.teacher)
  if (router?.custom !== undefined && !values.router) throw missingValue('router', router.custom)
  if (model?.customMeaning !== undefined && !values.meaning) throw missingValue('meaning', model.customMeaning)
  const named = { task, optimizer: train?.optimizer, schedule: train?.schedule }
  for (const what of ['task', 'optimizer', 'schedule'] as const) {
    const value = named[what]
    if (value?.kind === 'custom' && values[what] === undefined) throw missingValue(what, String(value.name))
  }
}

/** The configuration with the name of each supplied value in the value's place. */
export function namedConfig(
  config: RunConfig,
  { task, optimizer, schedule, router, meaning, teacher }: TrainerValues & { task: Task },
): RunConfig {
  return {
    ...config,
    task: task.config ?? { kind: 'custom', name: task.name },
    model: { ...config.model, ...(meaning && { customMeaning: meaning.name }) },
    router: { ...config.router, ...(router && { custom: router.name }) },
    train: {
      ...config.train,
      ...(optimizer && { optimizer: { kind: 'custom', name: optimizer.name } }),
      // An anonymous function has the name ''.
      ...(schedule && { schedule: { kind: 'custom', name: schedule.name || 'anonymous' } }),
    },
    distill: distillConfigOf(config.distill, teacher),
  }
}

/** A task whose answers are scored by other figures. */
export const withMetrics = (task: Task, metrics: readonly Metric[]): Task =>
  Object.create(task, { metrics: { value: metrics, enumerable: true } }) as Task
