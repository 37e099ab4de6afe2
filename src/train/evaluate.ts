import type { Metric } from '../metrics/metric.js'
import type { Example, SplitName } from '../data/source.js'
import type { Task } from '../data/task.js'
import { TextGenerator } from '../infer/text-generator.js'
import type { TextModel } from '../infer/text-generator.js'
import type { TextOptions } from '../infer/text-options.js'
import type { ModelParams } from '../model/types.js'
import type { Router } from '../nn/moe/router.js'
import type { TextCodec } from '../text/codec.js'
import type { RunConfig } from './config.js'

export interface Evaluation {
  readonly split: SplitName
  /** How many examples the split has. */
  readonly total: number
  /** The value of each of the task's metrics, over `examples`. */
  readonly scores: readonly { readonly metric: Metric; readonly value: number }[]
  /** The examples that were evaluated, and the model's answer to each. */
  readonly examples: readonly Example[]
  readonly predictions: readonly string[]
}

export interface EvaluateOptions {
  split: SplitName
  /** How many examples are evaluated, spread evenly over the split; null: all. */
  limit: number | null
  /** How answers are generated. Default: greedily. */
  generation?: TextOptions
  /** The router, if the run was trained with one that a program supplied. */
  router?: Router
  /** Called at the beginning and after each answer with the number of examples answered, and of all. */
  onProgress?: (done: number, count: number) => void
}

/** Evaluation generates in larger batches than serving does: all texts are known, and throughput is all that counts. */
const EVALUATION_ROWS = 128

/**
 * A run's parameters as a model that answers texts. Answers have at most as many tokens as the targets in training. A
 * custom router must be supplied again.
 */
export const trainedTextModel = (
  params: ModelParams,
  { model, router, train }: Pick<RunConfig, 'model' | 'router' | 'train'>,
  codec: TextCodec,
  customRouter?: Router,
): TextModel => ({
  params,
  options: { config: model, router, customRouter, maxNewTokens: train.targetLength },
  codec,
})

/**
 * Generates an answer to each example of a split (or to `limit` of them), and scores the answers by the task's metrics.
 */
export async function evaluate(
  params: ModelParams,
  config: Pick<RunConfig, 'model' | 'router' | 'train'>,
  task: Task,
  { split, limit, generation, router, onProgress }: EvaluateOptions,
): Promise<Evaluation> {
  const all = task.split(split)
  const count = Math.min(limit ?? all.length, all.length)
  const examples = Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)])
  const generator = new TextGenerator(trainedTextModel(params, config, task.codec, router), {
    maxRows: EVALUATION_ROWS,
  })
  onProgress?.(0, count)
  const answers = await generator.answerAll(
    examples.map(example => example.input),
    generation,
    done => onProgress?.(done, count),
  )
  const predictions = answers.map(([best]) => best.text)
  return {
    split,
    total: all.length,
    scores: task.metrics.map(metric => ({ metric, value: metric.compute(predictions, examples) })),
    examples,
    predictions,
  }
}
