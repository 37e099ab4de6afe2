/** The right answers to one input: a prediction that is any of them is right. */
export interface AcceptedAnswers {
  readonly target: string
  readonly alternatives: readonly string[]
}

/** One figure that scores a model's answers to a whole set of inputs. */
export interface Metric {
  /** As reports print it: `word error rate (WER)`. */
  readonly name: string
  /** The figure for predictions[i] as the answer to the input that answers[i] belongs to. NaN if there are none. */
  compute(predictions: readonly string[], answers: readonly AcceptedAnswers[]): number
  /** The figure as reports print it: `11.0%`. */
  format(value: number): string
}

/** 0.1101 -> "11.0%". */
export const formatPercent = (share: number): string => `${(100 * share).toFixed(1)}%`
