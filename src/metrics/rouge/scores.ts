import { ShapeError } from '../../base/errors.js'
import { pythonLower } from '../../text/python-text.js'
import { countEach, fMeasure, overlap } from '../statistics.js'
import { longestCommonIndices, longestCommonLength } from './longest-common.js'
import { porterStem } from './porter.js'

/** n-grams (`rouge1` to `rouge9`), the longest common subsequence (`rougeL`), or that of each line (`rougeLsum`). */
export type RougeKind = `rouge${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}` | 'rougeL' | 'rougeLsum'

export interface RougeScore {
  readonly precision: number
  readonly recall: number
  readonly fmeasure: number
}

export interface RougeScoreOptions {
  readonly scoreKeys?: readonly RougeKind[]
  /** Compares word stems (Porter's) instead of words. Default: false. */
  readonly useStemmer?: boolean
}

/** The kinds of ROUGE that T5 reports. */
export const t5RougeKinds: readonly RougeKind[] = ['rouge1', 'rouge2', 'rougeLsum']

/**
 * ROUGE of one prediction (C.-Y. Lin, 2004), as in `rouge_score`: tokens are runs of a to z and 0 to 9 of the
 * lower-cased text. Before, as in T5, each " . " is replaced by " ." and a line end, so that `rougeLsum` compares
 * sentences. A text without tokens scores 0. Throws a ShapeError for an unknown kind.
 */
export function rougeScores(
  target: string,
  prediction: string,
  { scoreKeys = t5RougeKinds, useStemmer = false }: RougeScoreOptions = {},
): Record<string, RougeScore> {
  const [targetText, predictedText] = [target, prediction].map(text => text.replaceAll(' . ', ' .\n'))
  const tokenize = tokenizer(useStemmer)
  const [wanted, given] = [targetText, predictedText].map(tokenize)
  return Object.fromEntries(
    scoreKeys.map(kind => {
      if (kind === 'rougeL') return [kind, fromHits(longestCommonLength(wanted, given), given.length, wanted.length)]
      if (kind === 'rougeLsum')
        return [kind, summaryScore(sentences(targetText, tokenize), sentences(predictedText, tokenize))]
      if (!/^rouge[1-9]$/.test(kind))
        throw new ShapeError(`${kind} is not a kind of ROUGE: there are rouge1 to rouge9, rougeL and rougeLsum`)
      return [kind, ngramScore(wanted, given, Number(kind.slice(5)))]
    }),
  )
}

/** Words of up to three characters have no stem but themselves. */
const tokenizer =
  (useStemmer: boolean) =>
  (text: string): string[] => {
    const tokens = pythonLower(text).match(/[a-z0-9]+/g) ?? []
    return useStemmer ? tokens.map(token => (token.length > 3 ? porterStem(token) : token)) : tokens
  }

const sentences = (text: string, tokenize: (text: string) => string[]): string[][] =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(tokenize)

function ngramScore(target: readonly string[], prediction: readonly string[], n: number): RougeScore {
  const [wanted, given] = [target, prediction].map(tokens =>
    Array.from({ length: Math.max(0, tokens.length - n + 1) }, (_, i) => tokens.slice(i, i + n).join(' ')),
  )
  return fromHits(overlap(countEach(wanted), countEach(given)), given.length, wanted.length)
}

/**
 * Summary-level ROUGE-L: a target sentence's hits are the union of its longest common subsequences with all predicted
 * sentences. As in ROUGE 1.5.5, no token of either side counts twice.
 */
function summaryScore(target: readonly string[][], prediction: readonly string[][]): RougeScore {
  const left = [target, prediction].map(texts => countEach(texts.flat()))
  let hits = 0
  for (const sentence of target) {
    const union = new Set(prediction.flatMap(other => longestCommonIndices(sentence, other)))
    for (const index of [...union].sort((a, b) => a - b)) {
      const token = sentence[index]
      if (left.some(counts => (counts.get(token) ?? 0) === 0)) continue
      hits++
      for (const counts of left) counts.set(token, counts.get(token)! - 1)
    }
  }
  return fromHits(hits, prediction.flat().length, target.flat().length)
}

/** Precision and recall of 0 hits are 0, even among no tokens. */
function fromHits(hits: number, predicted: number, wanted: number): RougeScore {
  const precision = hits / Math.max(predicted, 1)
  const recall = hits / Math.max(wanted, 1)
  return { precision, recall, fmeasure: fMeasure(precision, recall) }
}
