import { ConfigError } from '../base/errors.js'
import { datasetOf, spreadExamples } from '../data/dataset.js'
import { describeValue, isFields } from '../data/returned.js'
import type { Postprocessor } from '../data/postprocessors/postprocessor.js'
import type { Figures, Metric } from '../metrics/metric.js'
import { isRight } from '../metrics/right.js'
import type { Example, SplitName } from '../data/example.js'
import type { Fields } from '../data/preprocessor.js'
import { tokenize } from '../data/features.js'
import type { Task } from '../data/task.js'
import { TextGenerator } from '../infer/text-generator.js'
import type { TextModel } from '../infer/text-generator.js'
import type { TextOptions } from '../infer/text-options.js'
import { withAnswersOf } from '../model/generation-defaults.js'
import type { Meaning } from '../model/meaning.js'
import type { ModelParams } from '../model/types.js'
import type { Router } from '../nn/moe/router.js'
import type { TextCodec } from '../text/codec.js'
import type { RunConfig } from './config.js'
import type { CustomModelValues } from './loss.js'

export interface Evaluation {
  readonly split: SplitName
  /** How many examples the split has. */
  readonly total: number
  /** The figures of each metric, over `examples`. Empty if there are no examples. */
  readonly scores: readonly { readonly metric: Metric; readonly figures: Figures }[]
  /** The examples that were evaluated. */
  readonly examples: readonly Example[]
  /** The model's answer to each example, and whether it is right; null if no metric needs answers. */
  readonly predictions: readonly string[] | null
  readonly right: readonly boolean[] | null
  /** The natural logarithm of the probability that the model gives to each target; null if no metric needs it. */
  readonly logLikelihoods: readonly number[] | null
}

export interface EvaluateOptions {
  split: SplitName
  /** How many examples are evaluated, spread evenly over the split; null: all. */
  limit: number | null
  /** The figures to compute. Default: the task's. */
  metrics?: readonly Metric[]
  /** How answers are generated. Default: as the model's defaults say, greedily if it has none. */
  generation?: TextOptions
  /** The router, if the run was trained with one that a program supplied. */
  router?: Router
  /** The meaning, if the run was trained with one that a program supplied. */
  meaning?: Meaning
  /** Called at the beginning and after each answer with the number of examples answered, and of all. */
  onProgress?: (done: number, count: number) => void
}

/** Evaluation generates in larger batches than serving does: all texts are known, and throughput is all that counts. */
const EVALUATION_ROWS = 128

/**
 * A run's parameters as a model that answers texts. Answers have at most as many tokens as the targets in training. A
 * custom router or meaning must be supplied again.
 */
export const trainedTextModel = (
  params: ModelParams,
  { model, router, train }: Pick<RunConfig, 'model' | 'router' | 'train'>,
  codec: TextCodec,
  { router: customRouter, meaning }: CustomModelValues = {},
): TextModel => ({
  params,
  options: {
    config: withAnswersOf(model, train.targetLength),
    router,
    customRouter,
    meaning,
    maxNewTokens: train.targetLength,
  },
  codec,
})

/**
 * Scores a model on the examples of a split (or on `limit` of them). It generates an answer to each example for metrics
 * of predictions, and computes the log-likelihood of each target for metrics of scores.
 */
export async function evaluate(
  params: ModelParams,
  config: Pick<RunConfig, 'model' | 'router' | 'train'>,
  task: Task,
  { split, router, meaning, ...options }: EvaluateOptions,
): Promise<Evaluation> {
  const model = trainedTextModel(params, config, task.codec, { router, meaning })
  return { split, ...(await evaluateExamples(model, task, task.split(split), options)) }
}

/** As `evaluate`, for any model and any examples. */
export async function evaluateExamples(
  model: TextModel,
  task: Pick<Task, 'metrics' | 'postprocess'> & Partial<Pick<Task, 'name'>>,
  all: readonly Example[],
  {
    limit,
    metrics = task.metrics,
    generation,
    onProgress = () => undefined,
  }: Omit<EvaluateOptions, 'split' | 'router' | 'meaning'>,
): Promise<Omit<Evaluation, 'split'>> {
  const examples = spreadExamples(datasetOf(all), limit ?? all.length)
  const count = examples.length
  const generator = new TextGenerator(model, { maxRows: EVALUATION_ROWS })
  const needs = (input: Metric['input']): boolean => metrics.some(metric => metric.input === input)
  const passes = Number(needs('predictions')) + Number(needs('scores'))
  let pass = 0
  const progress = (done: number): void => onProgress(Math.floor((pass * count + done) / passes), count)
  onProgress(0, count)

  let predictions: string[] | null = null
  if (needs('predictions')) {
    const inputs = examples.map(example => example.input)
    const answers = await generator.answerAll(inputs, generation, progress)
    predictions = answers.map(([best]) => best.text)
    pass++
  }
  const logLikelihoods = needs('scores')
    ? (await generator.scoreAll(examples, {}, progress)).map(({ score }) => score)
    : null
  return {
    total: all.length,
    examples,
    ...scorePredictions({ ...task, codec: model.codec }, metrics, examples, predictions, logLikelihoods),
  }
}

/**
 * Applies the task's postprocessor, then the metrics. Throws a ConfigError that names the task and the function if one
 * returns a value of a wrong kind.
 */
export function scorePredictions(
  task: Pick<Task, 'postprocess'> & Partial<Pick<Task, 'name'>> & { readonly codec: TextCodec },
  metrics: readonly Metric[],
  examples: readonly Example[],
  predictions: readonly string[] | null,
  logLikelihoods: readonly number[] | null,
): Pick<Evaluation, 'scores' | 'predictions' | 'right' | 'logLikelihoods'> {
  const of = task.name === undefined ? '' : `the task ${task.name}: `
  const postprocess = task.postprocess && checkedPostprocessor(task.postprocess, of)
  const fields = postprocess ? examples.map(example => fieldsOf(task.codec, example)) : []
  const targets = postprocess
    ? examples.map(({ target }, i) => postprocess(target, { example: fields[i], isTarget: true }))
    : examples
  const answers =
    predictions && postprocess
      ? predictions.map((text, i) => postprocess(text, { example: fields[i], isTarget: false }))
      : predictions
  const figuresOf = (metric: Metric): Figures => {
    const figures: unknown = metric.compute(targets, (metric.input === 'scores' ? logLikelihoods : answers) ?? [])
    if (isFigures(figures)) return figures
    throw new ConfigError(
      `${of}the metric ${metric.name} returned ${describeValue(figures)}: expected numbers by name, such as { accuracy: 0.9 }`,
    )
  }
  return {
    scores: examples.length > 0 ? metrics.map(metric => ({ metric, figures: figuresOf(metric) })) : [],
    predictions,
    right: answers && targets.map((target, i) => isRight(metrics, target, answers[i])),
    logLikelihoods,
  }
}

const isFigures = (value: unknown): value is Figures =>
  isFields(value) && Object.values(value).length > 0 && Object.values(value).every(figure => typeof figure === 'number')

/** A postprocessor of which undefined and Promises are errors: no metric can compare them. */
const checkedPostprocessor =
  (postprocess: Postprocessor, of: string): Postprocessor =>
  (text, context) => {
    const result = postprocess(text, context)
    if (result !== undefined && !(result instanceof Promise)) return result
    const what = context.isTarget ? 'target' : 'prediction'
    throw new ConfigError(
      `${of}postprocess returned ${describeValue(result)} for the ${what} ${JSON.stringify(text.slice(0, 60))}: expected what the metrics compare`,
    )
  }

/**
 * An example's fields as a postprocessor gets them in SeqIO: `inputs` and `targets` are token ids, with their texts
 * beside.
 */
const fieldsOf = (codec: TextCodec, example: Example): Fields => ({
  inputs_pretokenized: example.input,
  targets_pretokenized: example.target,
  ...example.fields,
  ...tokenize(codec, example),
})
