/** The right answers to one input: a prediction that is any of them is right. */
export interface AcceptedAnswers {
  readonly target: string
  readonly alternatives: readonly string[]
}

/** Figures by name, such as `{ em: 81.2, f1: 88 }`. */
export type Figures = Readonly<Record<string, number>>

/** A pure function that scores predictions[i] against targets[i], over a whole set of examples: `squad`, `bleu`. */
export type MetricFunction<T, P> = (targets: readonly T[], predictions: readonly P[]) => Figures

/** Scores a model on a whole set of examples. A task lists the metrics that score it, the most important first. */
export interface Metric<T = unknown, P = unknown> {
  /** As a person names the metric: `squad`. */
  readonly name: string
  /**
   * What is compared with the targets. `predictions`: the answers that the model generates (SeqIO's
   * `predict_metric_fns`). `scores`: the log-likelihood that the model gives to each target (SeqIO's
   * `score_metric_fns`); nothing is generated for such a metric.
   */
  readonly input: 'predictions' | 'scores'
  /** Whether a good model has a high or a low value. Early stopping and the choice of the best checkpoint need it. */
  readonly better: 'higher' | 'lower'
  /**
   * The figures; the first is the one to choose a model by. Without a postprocessor of the task, `targets` are
   * `AcceptedAnswers` and `predictions` are texts.
   */
  compute(targets: readonly T[], predictions: readonly P[]): Figures
  /** A figure as reports print it: `11.0%`. */
  format(value: number, figure: string): string
  /** Whether one prediction is right. Left out by metrics that know no right and wrong, such as BLEU. */
  isRight?(target: T, prediction: P): boolean
  /** What a reader should know about an unusual value, such as an error rate of over 100%. */
  explain?(value: number, figure: string): string | undefined
}

type MetricOptions<T, P> = Partial<Omit<Metric<T, P>, 'input' | 'compute'>>

/** The metric of a function of targets and predictions. By default it has the function's name, and high is good. */
export const predictionMetric = <T, P>(compute: MetricFunction<T, P>, options: MetricOptions<T, P> = {}): Metric => ({
  ...metricDefaults(compute.name),
  ...(options as MetricOptions<unknown, unknown>),
  input: 'predictions',
  compute: compute as MetricFunction<unknown, unknown>,
})

/** The metric of a function of targets and the log-likelihoods that the model gives to them. */
export const scoreMetric = <T>(compute: MetricFunction<T, number>, options: MetricOptions<T, number> = {}): Metric => ({
  ...metricDefaults(compute.name),
  ...(options as MetricOptions<unknown, unknown>),
  input: 'scores',
  compute: compute as MetricFunction<unknown, unknown>,
})

const metricDefaults = (name: string): Pick<Metric, 'name' | 'better' | 'format'> => ({
  name,
  better: 'higher',
  format: formatFigure,
})

/** 0.1101 -> "11.0%". */
export const formatPercent = (share: number): string => `${(100 * share).toFixed(1)}%`

/** A figure of any scale with four significant digits, or all digits before the point: 52.63158 -> "52.63". */
export const formatFigure = (value: number): string =>
  Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)))

/** All accepted answers to one input, the target first. */
export const acceptedAnswers = ({ target, alternatives }: AcceptedAnswers): string[] => [target, ...alternatives]
