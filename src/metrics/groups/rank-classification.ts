import { check } from '../../base/errors.js'
import { checkCounts } from '../check.js'
import { areas } from '../labels/auc.js'
import { classF1 } from '../labels/f1.js'
import type { Figures } from '../metric.js'
import { mean, sum } from '../statistics.js'

/** A possible answer to an input, as the postprocessor `rankClassification` makes it from an example. */
export interface RankedCandidate {
  /** The input's index, and the answer's index among those of the input (or more, see `idxLen`). */
  readonly idx: readonly number[]
  readonly isCorrect: boolean
  readonly weight: number
  /** The number of target tokens. */
  readonly targetLength: number
  /** Values of other fields of the example, for metrics of your own; `rankClassification` refuses them, as T5 does. */
  readonly passthrough?: readonly unknown[]
}

export interface RankClassificationOptions {
  /** How many answers each input has. Default: any number, and only the accuracy is computed. */
  readonly numClasses?: number
  /** Divides each score by the number of target tokens. Default: false. */
  readonly normalizeByTargetLength?: boolean
  /** The length of `idx`. Default: 2. */
  readonly idxLen?: number
  /** Refuses two candidates with the same `idx`, as T5 does since 2025. Default: false. */
  readonly requireUnique?: boolean
}

/**
 * Classification by log-likelihood: of each input's possible answers, the one with the highest score is the prediction
 * (the first of equal scores). Figures are 0 to 100: `accuracy`; with two classes also `f1`, `auc-roc` and `auc-pr` of
 * class 1; with more classes `mean_3class_f1`. If an input has several right answers, only `accuracy`, and each of them
 * counts as right. An input's weight is that of its first candidate or, without `numClasses`, of the predicted one.
 *
 * Throws a ShapeError if candidates are missing, if an `idx` has another length, or if all weights are 0.
 */
export function rankClassification(
  targets: readonly RankedCandidate[],
  scores: readonly number[],
  { numClasses, normalizeByTargetLength = false, idxLen = 2, requireUnique = false }: RankClassificationOptions = {},
): Figures {
  checkCounts(targets, scores)
  check(targets.length > 0, 'rankClassification got no candidates')
  targets.forEach(({ idx, passthrough = [] }, i) => {
    check(idx.length === idxLen, () => `candidate ${i} has the idx [${idx.join(', ')}]: it needs ${idxLen} numbers`)
    check(passthrough.length === 0, 'rankClassification takes no passthrough fields: use a metric of your own')
  })
  const ordered = targets
    .map((candidate, i) => ({
      ...candidate,
      score: normalizeByTargetLength ? scores[i] / candidate.targetLength : scores[i],
    }))
    .sort((a, b) => compare(a.idx, b.idx))
  if (requireUnique) checkUnique(ordered)
  return numClasses === undefined ? accuracyOfAnyClasses(ordered) : figuresOfClasses(ordered, numClasses)
}

type Scored = RankedCandidate & { readonly score: number }

/** Lexicographic order. */
function compare(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((value, k) => value !== b[k])
  return i < 0 ? 0 : a[i] - b[i]
}

function checkUnique(ordered: readonly Scored[]): void {
  for (let i = 1; i < ordered.length; i++)
    check(
      compare(ordered[i - 1].idx, ordered[i].idx) !== 0,
      () => `two candidates have the idx [${ordered[i].idx.join(', ')}]`,
    )
}

/** Inputs with different numbers of answers. */
function accuracyOfAnyClasses(ordered: readonly Scored[]): Figures {
  const groups = new Map<number, Scored[]>()
  for (const candidate of ordered) groups.set(candidate.idx[0], [...(groups.get(candidate.idx[0]) ?? []), candidate])
  const chosen = Array.from(groups.values(), group => group[greatestIndex(group.map(({ score }) => score))])
  return {
    accuracy: weightedShare(
      chosen.map(({ isCorrect }) => isCorrect),
      chosen.map(({ weight }) => weight),
    ),
  }
}

function figuresOfClasses(ordered: readonly Scored[], numClasses: number): Figures {
  check(
    ordered.length % numClasses === 0,
    () => `rankClassification got ${ordered.length} candidates: that is no multiple of ${numClasses} classes`,
  )
  check(numClasses > 1, 'rankClassification needs at least two classes')
  const inputs = Array.from({ length: ordered.length / numClasses }, (_, i) =>
    ordered.slice(i * numClasses, (i + 1) * numClasses),
  )
  const weights = inputs.map(([first]) => first.weight)
  const labels = inputs.map(candidates => candidates.map(({ isCorrect }) => isCorrect))
  // T5 computes in float32, where scores may be equal that differ in float64.
  const likelihoods = inputs.map(candidates => candidates.map(({ score }) => Math.fround(score)))
  const predicted = likelihoods.map(greatestIndex)
  const hits = predicted.map((label, i) => labels[i][label])
  if (labels.some(answers => answers.filter(Boolean).length > 1)) return { accuracy: weightedShare(hits, weights) }
  const isPredicted = (label: number): boolean[] => predicted.map(other => other === label)
  const isTarget = (label: number): boolean[] => labels.map(answers => answers[label])
  const figures = { accuracy: weightedShare(hits, weights) }
  if (numClasses > 2) {
    const each = Array.from({ length: numClasses }, (_, label) => classF1(isTarget(label), isPredicted(label), weights))
    return { ...figures, [`mean_${numClasses}class_f1`]: 100 * mean(each) }
  }
  const areasOfOne = areas(isTarget(1), likelihoods.map(probabilityOfOne), weights)
  return {
    ...figures,
    f1: 100 * classF1(isTarget(1), isPredicted(1), weights),
    'auc-roc': 100 * areasOfOne['auc-roc'],
    'auc-pr': 100 * areasOfOne['auc-pr'],
  }
}

/** The softmax of two float32 log-likelihoods at index 1, rounded to float32 after each operation. */
function probabilityOfOne([zero, one]: readonly number[]): number {
  const greatest = Math.max(zero, one)
  const [a, b] = [zero, one].map(value => Math.fround(Math.exp(Math.fround(value - greatest))))
  return Math.fround(b / Math.fround(a + b))
}

/** The index of the greatest value; of several, the first. As in NumPy, NaN is greater than any number. */
function greatestIndex(values: readonly number[]): number {
  const nan = values.findIndex(Number.isNaN)
  if (nan >= 0) return nan
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0)
}

/** 0 to 100. */
function weightedShare(hits: readonly boolean[], weights: readonly number[]): number {
  const total = sum(weights)
  check(total !== 0, 'the weights of all inputs are 0')
  return (100 * sum(weights.filter((_, i) => hits[i]))) / total
}
