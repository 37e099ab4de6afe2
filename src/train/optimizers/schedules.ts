import { missingValue } from '../../base/custom.js'
import type { Custom } from '../../base/custom.js'
import { ConfigError, unreachable } from '../../base/errors.js'

/**
 * Names a learning rate schedule in a configuration, with all its options. During the first `warmupSteps` steps the
 * rate rises linearly from 0 to the schedule's own value:
 *
 * - `constant`: `peak`.
 * - `linear`, `cosine`: falls from `peak` to 0 at the run's last step, linearly or along half a cosine.
 * - `inverseSquareRoot`: scale / sqrt(max(step, decayFrom)), as T5. Switch was pretrained with scale 1, decayFrom 10000
 *   and no warm-up.
 */
export type ScheduleConfig =
  | { kind: 'constant'; peak: number; warmupSteps: number }
  | { kind: 'linear'; peak: number; warmupSteps: number }
  | { kind: 'cosine'; peak: number; warmupSteps: number }
  | { kind: 'inverseSquareRoot'; scale: number; decayFrom: number; warmupSteps: number }
  | Custom

/** The learning rate of a step, counted from 0. `Trainer` takes any function of this type. */
export type Schedule = (step: number) => number

/** The smallest rate, as in T5X: otherwise the first step of a warm-up would have rate 0. */
const minRate = 1e-8

/**
 * The schedule that a configuration names, for a run of `totalSteps`. Throws a ConfigError if its warm-up leaves a
 * falling schedule no step to fall in, and for a custom one.
 */
export function makeSchedule(config: ScheduleConfig, totalSteps: number): Schedule {
  if (config.kind === 'custom') throw missingValue('schedule', config.name)
  const { warmupSteps } = config
  const falls = config.kind === 'linear' || config.kind === 'cosine'
  if (falls && warmupSteps >= totalSteps) {
    throw new ConfigError(
      `a ${config.kind} schedule with ${warmupSteps} warm-up steps needs more than the ${totalSteps} steps of this run: set train.schedule.warmupSteps=${Math.floor(totalSteps / 10)}`,
    )
  }
  const warmup = (step: number): number => (warmupSteps === 0 ? 1 : Math.min(1, step / warmupSteps))
  const progress = (step: number): number => Math.min(1, Math.max(0, (step - warmupSteps) / (totalSteps - warmupSteps)))
  const height = (step: number): number => {
    switch (config.kind) {
      case 'constant':
        return config.peak
      case 'linear':
        return config.peak * (1 - progress(step))
      case 'cosine':
        return config.peak * 0.5 * (1 + Math.cos(Math.PI * progress(step)))
      case 'inverseSquareRoot':
        return config.scale / Math.sqrt(Math.max(step, config.decayFrom))
      default:
        return unreachable(config)
    }
  }
  return step => Math.max(minRate, warmup(step) * height(step))
}
