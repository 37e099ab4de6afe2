import type { Figures } from '../metrics/metric.js'
import type { Evaluation } from './evaluate.js'

/** The first record of an evaluation's file: what was evaluated, and the figures of each metric by its name. */
export interface EvaluationSummary {
  /** The model, as its folder; of a run, the checkpoint's, with its step. */
  readonly model: string
  readonly step?: number
  /** The task and its split, or the file of the examples. */
  readonly task?: string
  readonly split?: string
  readonly data?: string
  /** The number of examples that were evaluated, and of all there are. */
  readonly examples: number
  readonly total: number
  readonly metrics: Readonly<Record<string, Figures>>
}

/** A record of an evaluation's file: one example, and what the model made of it. */
export interface EvaluationRecord {
  readonly input: string
  readonly target: string
  /** Other accepted answers. Left out if there are none. */
  readonly alternatives?: readonly string[]
  /** The model's answer, and whether it is right. Left out if no metric needs answers. */
  readonly prediction?: string
  readonly right?: boolean
  /** The natural logarithm of the target's probability. Left out if no metric needs it. */
  readonly logLikelihood?: number
}

/** The figures of an evaluation. */
export const evaluationSummary = (
  { total, examples, scores }: Pick<Evaluation, 'total' | 'examples' | 'scores'>,
  of: Pick<EvaluationSummary, 'model' | 'step' | 'task' | 'split' | 'data'>,
): EvaluationSummary => ({
  ...of,
  examples: examples.length,
  total,
  metrics: Object.fromEntries(scores.map(({ metric, figures }) => [metric.name, figures])),
})

/** Every example of an evaluation, in order. */
export const evaluationRecords = ({
  examples,
  predictions,
  right,
  logLikelihoods,
}: Pick<Evaluation, 'examples' | 'predictions' | 'right' | 'logLikelihoods'>): EvaluationRecord[] =>
  examples.map(({ input, target, alternatives }, i) => ({
    input,
    target,
    ...(alternatives.length > 0 && { alternatives }),
    ...(predictions && { prediction: predictions[i], right: right?.[i] }),
    ...(logLikelihoods && { logLikelihood: logLikelihoods[i] }),
  }))
