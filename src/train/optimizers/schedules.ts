import { ConfigError, unreachable } from '../../base/errors.js'

/**
 * How the learning rate goes. All rise in a straight line from 0 to their height over the first `warmupSteps`:
 *
 * - `constant`: stays at `peak`.
 * - `linear`, `cosine`: falls from `peak` to 0 at the run's last step, in a straight line or half a cosine.
 * - `inverseSquareRoot`: scale / sqrt(max(step, decayFrom)), T5's. Pretraining Switch: scale 1, decayFrom 10000, no warm-up.
 */
export type ScheduleConfig =
  | { kind: 'constant'; peak: number; warmupSteps: number }
  | { kind: 'linear'; peak: number; warmupSteps: number }
  | { kind: 'cosine'; peak: number; warmupSteps: number }
  | { kind: 'inverseSquareRoot'; scale: number; decayFrom: number; warmupSteps: number }

/** The learning rate of a step, counted from 0. */
export type Schedule = (step: number) => number

/** T5X's least rate: the first step of a warm-up is not quite nothing. */
const minRate = 1e-8

/** Makes a schedule for a run of `totalSteps`. Throws a ConfigError when a falling one has no step to fall in. */
export function makeSchedule(config: ScheduleConfig, totalSteps: number): Schedule {
  const { warmupSteps } = config
  const falls = config.kind === 'linear' || config.kind === 'cosine'
  if (falls && warmupSteps >= totalSteps) {
    throw new ConfigError(
      `a ${config.kind} schedule that warms up for ${warmupSteps} steps needs more than the ${totalSteps} steps of this run: lower it, --set train.schedule.warmupSteps=${Math.floor(totalSteps / 10)}`,
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
