import { describe, expect, it } from 'vitest'
import { bleu } from '../../../src/metrics/bleu/bleu.js'
import { editDistance } from '../../../src/metrics/edit-distance.js'
import { deduplicateMetric, meanGroupMetric } from '../../../src/metrics/groups/grouped.js'
import { rankClassification } from '../../../src/metrics/groups/rank-classification.js'
import type { RankedCandidate } from '../../../src/metrics/groups/rank-classification.js'
import { accuracy, allMatch, sequenceAccuracy } from '../../../src/metrics/labels/accuracy.js'
import { auc, scoreAuc } from '../../../src/metrics/labels/auc.js'
import { matthewsCorrcoef, pearsonCorrcoef, spearmanCorrcoef } from '../../../src/metrics/labels/correlation.js'
import { f1ScoreWithInvalid, meanMulticlassF1, multircF1OverAllAnswers } from '../../../src/metrics/labels/f1.js'
import type { MetricFunction } from '../../../src/metrics/metric.js'
import { coqaF1, spanSquad, squad, triviaQa } from '../../../src/metrics/questions/answers.js'
import { coqaTokens, normalizeSquad, normalizeTriviaQa } from '../../../src/metrics/questions/normalize.js'
import { rouge, rougeMean } from '../../../src/metrics/rouge/rouge.js'
import { rougeScores } from '../../../src/metrics/rouge/scores.js'
import type { RougeKind } from '../../../src/metrics/rouge/scores.js'
import { camelKeys, seqioCases } from './cases.js'

interface Case {
  targets: unknown[]
  predictions?: unknown[]
  scores?: unknown
  args?: Record<string, unknown>
  result?: unknown
  error?: string
  text?: string
  target?: string
  prediction?: string
}

/**
 * Calls a function of targets, predictions (or scores) and options, whose types the recorded cases are trusted to have.
 */
type Call = (targets: never, predictions: never, options: never) => unknown

const options = (args: Record<string, unknown> = {}): never => camelKeys(args) as never

const candidates = (tuples: readonly [number[], boolean, number, number, ...unknown[]][]): RankedCandidate[] =>
  tuples.map(([idx, isCorrect, weight, targetLength, ...passthrough]) => ({
    idx,
    isCorrect,
    weight,
    targetLength,
    passthrough,
  }))

const ranked =
  (requireUnique: boolean): Call =>
  (targets, scores, given: object) =>
    rankClassification(candidates(targets), scores, { ...given, requireUnique })

/** Each function of T5, called with the arguments of a case. */
const functions: Record<string, Call> = {
  bleu,
  rouge_mean: rougeMean,
  rouge_bootstrap: (targets, predictions, { numpyRandomSeed, ...rest }: { numpyRandomSeed: number }) =>
    rouge(targets, predictions, { ...rest, seed: numpyRandomSeed }),
  squad,
  trivia_qa: triviaQa,
  span_squad: spanSquad,
  coqa_f1: coqaF1,
  edit_distance: editDistance,
  accuracy,
  sequence_accuracy: sequenceAccuracy,
  pearson_corrcoef: pearsonCorrcoef,
  spearman_corrcoef: spearmanCorrcoef,
  mean_multiclass_f1: (targets, predictions, { numClasses, ...rest }: { numClasses: number }) =>
    meanMulticlassF1(numClasses, rest)(targets, predictions),
  all_match: allMatch,
  f1_score_with_invalid: f1ScoreWithInvalid,
  multirc_f1_over_all_answers: multircF1OverAllAnswers,
  auc,
  score_auc: scoreAuc,
  matthews_corrcoef: matthewsCorrcoef,
  deduplicate_squad: deduplicateMetric(squad as MetricFunction<readonly string[], string>),
  mean_group_all_match: meanGroupMetric(allMatch),
  mean_group_accuracy_subgroups: meanGroupMetric(accuracy, { returnSubgroupScores: true }),
  rank_classification: ranked(false),
  rank_classification_head: ranked(true),
}

/** Numbers agree to 1e-12, relative to the greater of 1 and the number; NaN is written as text. */
function expectEqual(actual: unknown, expected: unknown, path = ''): void {
  if (expected === 'NaN') return expect(actual, path).toBeNaN()
  if (typeof expected === 'number') {
    expect(typeof actual, path).toBe('number')
    expect(Math.abs((actual as number) - expected), path).toBeLessThan(1e-12 * Math.max(1, Math.abs(expected)))
  } else if (typeof expected === 'object' && expected !== null) {
    expect(Object.keys(actual as object).sort(), path).toEqual(Object.keys(expected).sort())
    for (const [key, value] of Object.entries(expected))
      expectEqual((actual as Record<string, unknown>)[key], value, `${path}/${key}`)
  } else expect(actual, path).toBe(expected)
}

describe('T5 metrics equal the reference', () => {
  const cases = Object.entries(seqioCases<Record<string, Case[]>>('metrics.json'))

  it.each(cases)('%s', (name, list) => {
    for (const [i, recorded] of list.entries()) {
      const { targets, predictions, scores, args, result, error, text, target, prediction } = recorded
      const path = `${name}[${i}]`
      if (name === 'normalize')
        expectEqual(
          {
            text,
            normalize_squad: normalizeSquad(text!),
            normalize_trivia_qa: normalizeTriviaQa(text!),
            coqa_tokenize: coqaTokens(text!),
          },
          recorded,
          path,
        )
      else if (name === 'rouge_scores' || name === 'rouge_scores_stemmer') {
        const scoreKeys = Object.keys(scores as object) as RougeKind[]
        expectEqual(
          rougeScores(target!, prediction!, { scoreKeys, useStemmer: name.endsWith('stemmer') }),
          scores,
          path,
        )
      } else {
        const run = (): unknown => functions[name](targets as never, (predictions ?? scores) as never, options(args))
        if (error === undefined) expectEqual(run(), result, path)
        else expect(run, path).toThrow()
      }
    }
  })
})
