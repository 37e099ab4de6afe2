import type { CheckpointInfo } from '../checkpoint/checkpoint-info.js'
import type { Validation } from './validation.js'

/** The best validation of a run so far. Its checkpoint is kept. */
export type BestValidation = NonNullable<CheckpointInfo['best']>

/** The better of a validation and the best one before it; of equal ones, the earlier. */
export function betterOf(
  best: BestValidation | undefined,
  { step, chosenBy: figure, value, better }: Pick<Validation, 'step' | 'chosenBy' | 'value' | 'better'>,
): BestValidation | undefined {
  // A value that is not a number is never the best.
  if (!Number.isFinite(value)) return best
  // Values of different figures cannot be compared: `train.bestBy` was changed.
  const isBetter = best?.figure !== figure || (better === 'higher' ? value > best.value : value < best.value)
  return isBetter ? { step, figure, value } : best
}

/** How many validations after the best one a run has made at a step. */
export const validationsSince = (best: BestValidation, step: number, validateEvery: number): number =>
  Math.floor(step / validateEvery) - Math.floor(best.step / validateEvery)
