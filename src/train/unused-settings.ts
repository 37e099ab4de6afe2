import type { Trainer } from './trainer.js'

/** What a person should know of a run's settings of validation that have no effect: a sentence for each. */
export function unusedSettings(trainer: Pick<Trainer, 'config' | 'canValidate'>): string[] {
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
