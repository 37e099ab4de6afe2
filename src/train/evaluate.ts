import { sequenceErrorRates } from '../metrics/error-rates.js'
import type { ErrorRates } from '../metrics/error-rates.js'
import type { Example, SplitName } from '../data/source.js'
import type { Task } from '../data/task.js'
import type { ModelParams } from '../model/types.js'
import type { GenerateOptions } from '../infer/generate.js'
import { makePredictor } from '../infer/predictor.js'
import type { TrainerConfig } from './trainer.js'

export interface Evaluation {
  readonly split: SplitName
  /** How many examples the split has. */
  readonly total: number
  readonly rates: ErrorRates
  readonly examples: readonly Example[]
  /** One for each example that was evaluated. */
  readonly predictions: readonly string[]
}

export interface EvaluateOptions {
  split: SplitName
  /** How many examples; null: all. */
  limit: number | null
  /** Above 1: beam search with so many beams instead of greedy generation. */
  numBeams?: number
  /** Hears how many examples are done, of how many. */
  onProgress?: (done: number, count: number) => void
}

/** How a run's model answers: with at most as many tokens as the targets it was trained on had room for. */
export const answerOptions = ({ model, router, train }: TrainerConfig): GenerateOptions => ({
  config: model,
  router,
  maxNewTokens: train.targetLength,
})

/** Error rates of generation on a split's examples: on all of them, or on `limit`, spread evenly over the split. */
export async function evaluate(
  params: ModelParams,
  config: TrainerConfig,
  task: Task,
  { split, limit, numBeams, onProgress }: EvaluateOptions,
): Promise<Evaluation> {
  const all = task.split(split)
  const count = Math.min(limit ?? all.length, all.length)
  const examples = Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)])
  const predict = makePredictor(params, { ...answerOptions(config), numBeams }, task)
  const predictions = await predict(
    examples.map(example => example.input),
    done => onProgress?.(done, count),
  )
  return {
    split,
    total: all.length,
    rates: sequenceErrorRates(predictions, examples, text => task.symbols(text)),
    examples,
    predictions,
  }
}
