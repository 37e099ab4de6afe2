import type { PackedFeatures } from '../data/converters/batch.js'
import type { SplitName } from '../data/example.js'
import { targetEosOf } from '../data/packing/target-eos.js'
import type { Task } from '../data/task.js'
import { jit } from '../engine/api/jit.js'
import { specialIdsOf } from '../model/config.js'
import type { Batch, ModelParams } from '../model/types.js'
import type { RunConfig } from './config.js'
import { evaluate } from './evaluate.js'
import type { CustomModelValues } from './loss.js'
import { packedSplit } from './packed-split.js'
import { evaluateBatch, targetFigures } from './target-figures.js'
import type { BatchFigures } from './target-figures.js'

/** The figures of a model on the validation split. */
export interface Validation {
  /** The step after which the model was validated, counted from 1. */
  readonly step: number
  /** The mean cross entropy of the targets, in nats, without label smoothing; and the share that is predicted right. */
  readonly loss: number
  readonly accuracy: number
  /** The task's first figure on some examples; undefined if none was asked for. */
  readonly metric: { readonly name: string; readonly value: number } | undefined
  /** The figure that the best checkpoint is chosen by, which `better` says whether it should be high or low. */
  readonly chosenBy: string
  readonly value: number
  readonly better: 'higher' | 'lower'
}

/** A model to be validated. */
export interface ValidatedModel {
  /** What `compute` gives for its parameters on one device, which may have to be put together for that. */
  withParams<T>(compute: (params: ModelParams) => Promise<T>): Promise<T>
  /** Evaluates a batch where the parameters are, if they are on several devices. */
  readonly evaluate?: (batch: Batch) => BatchFigures
}

/** A model whose parameters are on one device. */
export const onOneDevice = (params: ModelParams): ValidatedModel => ({ withParams: compute => compute(params) })

/** Computes a model's figures on the validation split, or another one, as often as it is asked to. */
export class Validator {
  /** The examples as packed batches, made at first use. */
  private batches: PackedFeatures[] | undefined
  private readonly evaluateBatch: (params: ModelParams, batch: Batch) => BatchFigures

  constructor(
    private readonly config: RunConfig,
    private readonly task: Task,
    private readonly values: CustomModelValues,
    private readonly split: SplitName = 'validation',
  ) {
    const { model, router } = config
    const options = { config: model, router, customRouter: values.router, meaning: values.meaning }
    this.evaluateBatch = jit(function validate(params: ModelParams, batch: Batch) {
      return { ...evaluateBatch(params, batch, options) }
    })
  }

  /** Whether there are validation examples that fit a row. */
  get hasExamples(): boolean {
    return this.packed().length > 0
  }

  /** The figures after `step`. The parameters must not be donated before the promise settles. */
  async validate(model: ValidatedModel, step: number): Promise<Validation> {
    const { loss, accuracy } = await this.targetFigures(model)
    const metric = await this.taskFigure(model)
    const chosen =
      this.config.train.bestBy === 'metric' && metric !== undefined
        ? { chosenBy: metric.name, value: metric.value, better: metric.better }
        : { chosenBy: 'loss', value: loss, better: 'lower' as const }
    return { step, loss, accuracy, metric: metric && { name: metric.name, value: metric.value }, ...chosen }
  }

  /** The mean cross entropy of the targets, the share that is predicted right, and the number of examples. */
  async targetFigures(model: ValidatedModel): Promise<{ loss: number; accuracy: number; examples: number }> {
    const { evaluate } = model
    const { crossEntropy, accuracy, examples } = evaluate
      ? await targetFigures(this.packed(), evaluate)
      : await model.withParams(params => targetFigures(this.packed(), batch => this.evaluateBatch(params, batch)))
    return { loss: crossEntropy, accuracy, examples }
  }

  private async taskFigure(
    model: ValidatedModel,
  ): Promise<{ name: string; value: number; better: 'higher' | 'lower' } | undefined> {
    const { task, config, values } = this
    const { validateAnswers } = config.train
    const metric = task.metrics[0]
    if (validateAnswers === 0 || metric === undefined) return undefined
    const figures = await model.withParams(async params => {
      const { scores } = await evaluate(params, config, task, {
        split: 'validation',
        limit: validateAnswers,
        metrics: [metric],
        ...values,
      })
      return scores[0]?.figures
    })
    const [figure] = Object.entries(figures ?? {})
    return figure && { name: figure[0], value: figure[1], better: metric.better }
  }

  private packed(): readonly PackedFeatures[] {
    const { rows, accumulate, validateExamples: limit, ...size } = this.config.train
    // A batch is as large as one training step holds at a time.
    const specialIds = specialIdsOf(this.config.model)
    return (this.batches ??= packedSplit(this.task, this.split, {
      ...size,
      specialIds,
      targetEos: targetEosOf(this.task.codec, specialIds),
      rows: rows / accumulate,
      limit,
    }))
  }
}
