import { check } from '../../base/errors.js'
import { pythonStripEnd } from '../../text/python-text.js'
import type { Figures } from '../metric.js'
import { countEach, overlap } from '../statistics.js'
import { bleuTokenizers } from './tokenizers.js'
import type { BleuTokenizer } from './tokenizers.js'

const MAX_ORDER = 4

/** The logarithm that sacrebleu gives to a precision of 0: BLEU becomes 0. */
const LOG_ZERO = -9_999_999_999

export interface BleuOptions {
  /** Default: `intl`, as in T5. */
  readonly tokenizer?: BleuTokenizer
}

/**
 * Corpus BLEU of T5: `{ bleu }`, 0 to 100. It is sacrebleu's with the tokenizer `intl`, exponential smoothing, and no
 * effective order: BP exp(mean over n = 1 ... 4 of log p_n), where p_n is the share of the predictions' n-grams that
 * occur in a reference, and BP = exp(1 - reference length / prediction length) if the predictions are shorter.
 * (Papineni et al., 2002; Post, 2018.)
 *
 * `targets` is one reference for each prediction, or a list of reference streams: `targets[s][i]` is a reference of
 * prediction i. As in sacrebleu, all lists are cut to the shortest one. Throws a ShapeError without targets.
 */
export function bleu(
  targets: readonly string[] | readonly (readonly string[])[],
  predictions: readonly string[],
  options: BleuOptions = {},
): Figures {
  check(targets.length > 0, 'bleu got no targets')
  const streams: readonly (readonly string[])[] = isStreams(targets) ? targets : [targets]
  const count = Math.min(predictions.length, ...streams.map(stream => stream.length))
  const references = Array.from({ length: count }, (_, i) => streams.map(stream => stream[i]))
  return corpusBleu(references, predictions.slice(0, count), options)
}

const isStreams = (
  targets: readonly string[] | readonly (readonly string[])[],
): targets is readonly (readonly string[])[] => Array.isArray(targets[0])

/** As `bleu`, with any number of references for each prediction: `references[i]` are those of `predictions[i]`. */
export function corpusBleu(
  references: readonly (readonly string[])[],
  predictions: readonly string[],
  { tokenizer = 'intl' }: BleuOptions = {},
): Figures {
  const tokenize = (text: string): string[] => bleuTokenizers[tokenizer](pythonStripEnd(text))
  const correct = new Array<number>(MAX_ORDER).fill(0)
  const total = new Array<number>(MAX_ORDER).fill(0)
  let predictedLength = 0
  let referenceLength = 0
  predictions.forEach((text, i) => {
    const predicted = tokenize(text)
    const accepted = references[i].map(tokenize)
    predictedLength += predicted.length
    referenceLength += closestLength(predicted.length, accepted)
    for (let n = 1; n <= MAX_ORDER; n++) {
      correct[n - 1] += overlap(ngramCounts(predicted, n), greatestCounts(accepted, n))
      total[n - 1] += Math.max(0, predicted.length - n + 1)
    }
  })
  return { bleu: score(correct, total, predictedLength, referenceLength) }
}

/** The length of the reference that is closest in length; of two equally close, the shorter. */
const closestLength = (length: number, references: readonly (readonly string[])[]): number =>
  references
    .map(reference => reference.length)
    .reduce((best, other) => {
      const nearer = Math.abs(length - other) - Math.abs(length - best)
      return nearer < 0 || (nearer === 0 && other < best) ? other : best
    })

/** How often each n-gram occurs. Tokens hold no white space, so a space can join them. */
const ngramCounts = (tokens: readonly string[], n: number): Map<string, number> =>
  countEach(Array.from({ length: Math.max(0, tokens.length - n + 1) }, (_, i) => tokens.slice(i, i + n).join(' ')))

/** How often each n-gram occurs in the reference in which it occurs most. */
function greatestCounts(references: readonly (readonly string[])[], n: number): Map<string, number> {
  const [first, ...rest] = references.map(reference => ngramCounts(reference, n))
  for (const counts of rest) {
    for (const [ngram, count] of counts) first.set(ngram, Math.max(count, first.get(ngram) ?? 0))
  }
  return first
}

function score(
  correct: readonly number[],
  total: readonly number[],
  predictedLength: number,
  referenceLength: number,
): number {
  if (correct.every(count => count === 0)) return 0
  const brevity = predictedLength < referenceLength ? Math.exp(1 - referenceLength / predictedLength) : 1
  let logs = 0
  let smoothing = 1
  for (let n = 0; n < MAX_ORDER; n++) {
    // Order n + 1 and all higher orders have no n-grams once one has none.
    if (total[n] === 0) logs += LOG_ZERO
    else if (correct[n] > 0) logs += Math.log((100 * correct[n]) / total[n])
    else logs += Math.log(100 / ((smoothing *= 2) * total[n]))
  }
  return brevity * Math.exp(logs / MAX_ORDER)
}
