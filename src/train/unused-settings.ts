import { formatCount } from '../base/format.js'
import type { TrainConfig } from './config.js'
import type { Trainer } from './trainer.js'

/** A sentence for each setting of a run that has no effect, or not the effect that its name promises. */
export const unusedSettings = (trainer: Pick<Trainer, 'config' | 'canValidate'>): string[] => [
  ...unusedValidation(trainer),
  ...endlessWarmup(trainer.config.train),
]

function endlessWarmup({ steps, schedule }: TrainConfig): string[] {
  if (schedule.kind === 'custom' || schedule.warmupSteps === 0 || schedule.warmupSteps < steps) return []
  return [
    `all ${formatCount(steps)} steps are warm-up (train.schedule.warmupSteps=${schedule.warmupSteps}), so the learning rate never reaches the schedule's own: set train.schedule.warmupSteps=${Math.floor(steps / 10)}`,
  ]
}

function unusedValidation(trainer: Pick<Trainer, 'config' | 'canValidate'>): string[] {
  const { validateEvery, patience, bestBy, validateAnswers } = trainer.config.train
  if (validateEvery === null)
    return patience === null
      ? []
      : [
          'train.patience has no effect without validations: set train.validateEvery, to a tenth of train.steps for example',
        ]
  return [
    ...(trainer.canValidate
      ? []
      : [
          'train.validateEvery has no effect: the task has no validation examples that fit a row, for example too few examples in all',
        ]),
    ...(bestBy === 'metric' && validateAnswers === 0
      ? ['train.bestBy=metric has no effect with train.validateAnswers=0: the best checkpoint is chosen by the loss']
      : []),
  ]
}
