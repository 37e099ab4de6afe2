import type { Task } from '../data/task.js'
import { betterOf, validationsSince } from './best.js'
import type { BestValidation } from './best.js'
import type { RunConfig } from './config.js'
import type { CustomModelValues } from './loss.js'
import { Validator } from './validation.js'
import type { ValidatedModel, Validation } from './validation.js'

/**
 * The validations of one run: when they are due, which was the best, and when training stops for lack of a better one.
 */
export class Validations {
  private readonly validator: Validator

  constructor(
    private readonly config: RunConfig,
    task: Task,
    values: CustomModelValues,
    /** The best validation so far. Checkpoints hold it, so that a resumed run goes on from it. */
    public best?: BestValidation,
  ) {
    this.validator = new Validator(config, task, values)
  }

  /** Whether there are examples to validate on. */
  get hasExamples(): boolean {
    return this.validator.hasExamples
  }

  /** Whether the model is validated after a step. */
  isDue(step: number): boolean {
    const { validateEvery, steps } = this.config.train
    return validateEvery !== null && (step % validateEvery === 0 || step === steps) && this.hasExamples
  }

  /** Validates the model after a step, and says whether it is the best so far. */
  async validate(model: ValidatedModel, step: number): Promise<{ validation: Validation; isBest: boolean }> {
    const validation = await this.validator.validate(model, step)
    this.best = betterOf(this.best, validation)
    return { validation, isBest: this.best?.step === step }
  }

  /** Whether a run at this step has validated as often as `train.patience` allows without getting better. */
  isExhausted(step: number): boolean {
    const { patience, validateEvery } = this.config.train
    if (patience === null || validateEvery === null || this.best === undefined) return false
    return validationsSince(this.best, step, validateEvery) >= patience
  }
}
