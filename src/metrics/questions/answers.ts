import { check } from '../../base/errors.js'
import { pythonInt, pythonSplit, PYTHON_WORD } from '../../text/python-text.js'
import { checkCounts } from '../check.js'
import type { Figures } from '../metric.js'
import { countEach, fMeasure, mean, overlap } from '../statistics.js'
import { coqaTokens, normalizeSquad, normalizeTriviaQa } from './normalize.js'

/**
 * SQuAD's exact match and F1 over words, 0 to 100: `{ em, f1 }`. `targets[i]` are the accepted answers; the best one
 * counts. Throws a ShapeError for a target without answers. (Rajpurkar et al., 2016.)
 */
export const squad = (targets: readonly (readonly string[])[], predictions: readonly string[]): Figures =>
  exactMatchAndF1(targets, predictions, normalizeSquad)

/** TriviaQA's exact match and F1: as `squad`, with `normalizeTriviaQa`. (Joshi et al., 2017.) */
export const triviaQa = (targets: readonly (readonly string[])[], predictions: readonly string[]): Figures =>
  exactMatchAndF1(targets, predictions, normalizeTriviaQa)

/** The accepted answers to a question, and the text in which they are found. */
export interface SpanTarget {
  readonly answers: readonly string[]
  readonly context: string
}

/**
 * `squad` of predictions such as "start: 3 end: 6": the answer is the words 3 to 6 of the context, counted from 0. A
 * prediction of any other form is an empty answer.
 */
export function spanSquad(targets: readonly SpanTarget[], predictions: readonly string[]): Figures {
  checkCounts(targets, predictions)
  return squad(
    targets.map(({ answers }) => answers),
    predictions.map((prediction, i) => spanText(targets[i].context, prediction)),
  )
}

function spanText(context: string, prediction: string): string {
  const [, start, , end] = words(prediction)
  const [first, last] = [start, end].map(word => (word === undefined ? undefined : pythonInt(word)))
  if (first === undefined || last === undefined) return ''
  return words(context)
    .slice(first, last + 1)
    .join(' ')
}

const notWord = new RegExp(`(?!${PYTHON_WORD}).`, 'gsu')
const words = (text: string): string[] => pythonSplit(text.replace(notWord, ' '))

/** CoQA's F1 over words, 0 to 100: `{ f1 }`. The best accepted answer counts; two empty answers have 100. */
export function coqaF1(targets: readonly (readonly string[])[], predictions: readonly string[]): Figures {
  const scores = targets.slice(0, predictions.length).map((answers, i) => {
    checkAnswers(answers, i)
    const given = coqaTokens(predictions[i])
    return Math.max(
      ...answers.map(coqaTokens).map(wanted => (wanted.length + given.length === 0 ? 1 : wordF1(wanted, given))),
    )
  })
  return { f1: 100 * mean(scores) }
}

function exactMatchAndF1(
  targets: readonly (readonly string[])[],
  predictions: readonly string[],
  normalize: (text: string) => string,
): Figures {
  checkCounts(targets, predictions)
  const scores = targets.map((answers, i) => {
    checkAnswers(answers, i)
    const given = normalize(predictions[i])
    const wanted = answers.map(normalize)
    return {
      em: Number(wanted.includes(given)),
      f1: Math.max(...wanted.map(answer => wordF1(pythonSplit(answer), pythonSplit(given)))),
    }
  })
  return { em: 100 * mean(scores.map(({ em }) => em)), f1: 100 * mean(scores.map(({ f1 }) => f1)) }
}

const checkAnswers = (answers: readonly string[], index: number): void =>
  check(answers.length > 0, () => `target ${index} has no accepted answers: each question needs at least one`)

/** The F-measure of two bags of words; 0 if they share none. */
function wordF1(wanted: readonly string[], given: readonly string[]): number {
  const shared = overlap(countEach(wanted), countEach(given))
  return shared === 0 ? 0 : fMeasure(shared / given.length, shared / wanted.length)
}
