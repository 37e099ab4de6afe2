import { ConfigError } from '../base/errors.js'
import { nearest } from '../base/suggest.js'
import { pythonFloat } from '../text/python-text.js'
import { codePoints, splitWords } from '../text/symbols.js'
import { corpusBleu } from './bleu/bleu.js'
import { editDistance } from './edit-distance.js'
import { symbolErrorRate, wrongAnswerRate } from './error-rates.js'
import { accuracy } from './labels/accuracy.js'
import { matthewsCorrcoef, pearsonCorrcoef, spearmanCorrcoef } from './labels/correlation.js'
import { meanMulticlassF1 } from './labels/f1.js'
import { acceptedAnswers, predictionMetric } from './metric.js'
import type { AcceptedAnswers, Figures, Metric, MetricFunction } from './metric.js'
import { coqaF1, squad, triviaQa } from './questions/answers.js'
import { rouge, rougeMean } from './rouge/rouge.js'
import { rougeScores } from './rouge/scores.js'

type TextMetric = MetricFunction<AcceptedAnswers, string>

/** A metric of lists of accepted answers, on text examples. */
const ofAnswers =
  (metric: MetricFunction<readonly string[], string>): TextMetric =>
  (targets, predictions) =>
    metric(targets.map(acceptedAnswers), predictions)

/** A metric of one target for each prediction, on text examples: `choose` names the accepted answer to compare with. */
const ofTarget =
  (
    metric: MetricFunction<string, string>,
    choose: (answers: readonly string[], prediction: string) => string,
  ): TextMetric =>
  (targets, predictions) =>
    metric(
      targets.map((target, i) => choose(acceptedAnswers(target), predictions[i])),
      predictions,
    )

/** The accepted answer that is the prediction, or else the target. */
const sameOrFirst = (answers: readonly string[], prediction: string): string =>
  answers.includes(prediction) ? prediction : answers[0]

/** The accepted answer with the greatest value, the first of several. */
const best =
  (value: (answer: string, prediction: string) => number) =>
  (answers: readonly string[], prediction: string): string =>
    answers.reduce((a, b) => (value(b, prediction) > value(a, prediction) ? b : a))

const bestRouge = best(
  (answer, prediction) => rougeScores(answer, prediction, { scoreKeys: ['rouge1'] }).rouge1.fmeasure,
)
const leastEdits = best((answer, prediction) => -editDistance([answer], [prediction]).sum_edit)

/** Texts as numbers, as T5's `string_to_float` reads them: a text that is no number counts as -1. */
const ofNumbers = (metric: MetricFunction<number, number>): TextMetric => {
  const number = (text: string): number => pythonFloat(text) ?? -1
  return (targets, predictions) =>
    metric(
      targets.map(({ target }) => number(target)),
      predictions.map(number),
    )
}

/** The mean F-measure of the classes, which are the different targets. */
function macroF1(targets: readonly AcceptedAnswers[], predictions: readonly string[]): Figures {
  const labels = new Map<string, number>()
  for (const { target } of targets) if (!labels.has(target)) labels.set(target, labels.size)
  return meanMulticlassF1(labels.size)(
    targets.map(({ target }) => labels.get(target)!),
    predictions.map(prediction => labels.get(prediction) ?? -1),
  )
}

const isNormalizedMatch = ({ target, alternatives }: AcceptedAnswers, prediction: string): boolean =>
  squad([[target, ...alternatives]], [prediction]).em === 100

/**
 * The metrics that any task of texts can be scored by, under the names that `switchyard eval --metric` takes. Where an
 * input has several accepted answers, each prediction is compared with the best one, or with all of them (BLEU).
 */
export const textMetrics: readonly Metric[] = [
  predictionMetric(ofTarget(accuracy, sameOrFirst), { name: 'accuracy', format: value => `${value.toFixed(1)}%` }),
  // The figure has the name that the tasks give it.
  { ...wrongAnswerRate('wrong answers', text => [text]), name: 'wrongAnswers' },
  symbolErrorRate('wordErrorRate', splitWords),
  symbolErrorRate('characterErrorRate', codePoints),
  predictionMetric<AcceptedAnswers, string>(
    (targets, predictions) => corpusBleu(targets.map(acceptedAnswers), predictions),
    { name: 'bleu' },
  ),
  predictionMetric(ofTarget(rouge, bestRouge), { name: 'rouge' }),
  predictionMetric(ofTarget(rougeMean, bestRouge), { name: 'rougeMean' }),
  predictionMetric(ofAnswers(squad), { name: 'squad', isRight: isNormalizedMatch }),
  predictionMetric(ofAnswers(triviaQa), { name: 'triviaQa' }),
  predictionMetric(ofAnswers(coqaF1), { name: 'coqaF1' }),
  predictionMetric(ofTarget(editDistance, leastEdits), { name: 'editDistance', better: 'lower' }),
  predictionMetric(macroF1, { name: 'meanMulticlassF1' }),
  predictionMetric(ofTarget(matthewsCorrcoef, sameOrFirst), { name: 'matthewsCorrcoef' }),
  predictionMetric(ofNumbers(pearsonCorrcoef), { name: 'pearsonCorrcoef' }),
  predictionMetric(ofNumbers(spearmanCorrcoef), { name: 'spearmanCorrcoef' }),
]

/** The metric of texts with this name. Throws a ConfigError if there is none. */
export function textMetric(name: string): Metric {
  const found = textMetrics.find(metric => metric.name === name)
  if (found) return found
  const names = textMetrics.map(metric => metric.name)
  const guess = nearest(name, names)
  throw new ConfigError(
    `there is no metric "${name}"${guess === undefined ? '.' : `; did you mean ${guess}?`} The metrics of texts are ${names.join(', ')}`,
  )
}
