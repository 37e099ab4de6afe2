import { check } from '../base/errors.js'
import { editDistance } from '../base/edit-distance.js'
import { formatPercent } from './metric.js'
import type { AcceptedAnswers, Metric } from './metric.js'

/** Cuts a text into the units that edits are counted in: words, characters, phonemes. */
export type SplitSymbols = (text: string) => string[]

/**
 * Edits (insertions, deletions, substitutions of symbols) divided by the symbols of the accepted answers. For phonemes
 * it is the phoneme error rate, for characters the character error rate. 0.05 is 5%; it can exceed 1. Edits and lengths
 * are summed over all examples and divided once. Each prediction is compared with the accepted answer that is nearest
 * to it, and with the target if that is among the nearest; the compared answer's length is what counts.
 */
export const symbolErrorRate = (name: string, symbols: SplitSymbols): Metric => ({
  name,
  format: formatPercent,
  compute(predictions, answers) {
    checkCounts(predictions, answers)
    let edits = 0
    let length = 0
    answers.forEach((accepted, i) => {
      const nearest = nearestAnswer(symbols(predictions[i]), accepted, symbols)
      edits += nearest.edits
      length += nearest.length
    })
    return edits / length
  },
})

/**
 * The share of predictions that equal no accepted answer, symbol by symbol. For words it is the word error rate of
 * grapheme-to-phoneme conversion.
 */
export const wrongAnswerRate = (name: string, symbols: SplitSymbols): Metric => ({
  name,
  format: formatPercent,
  compute(predictions, answers) {
    checkCounts(predictions, answers)
    const key = (text: string): string => JSON.stringify(symbols(text))
    const wrong = answers.filter(
      ({ target, alternatives }, i) => ![target, ...alternatives].map(key).includes(key(predictions[i])),
    )
    return wrong.length / answers.length
  },
})

function nearestAnswer(
  predicted: readonly string[],
  { target, alternatives }: AcceptedAnswers,
  symbols: SplitSymbols,
): { edits: number; length: number } {
  let nearest = { edits: Infinity, length: 0 }
  for (const answer of [target, ...alternatives]) {
    const reference = symbols(answer)
    const edits = editDistance(predicted, reference)
    if (edits < nearest.edits) nearest = { edits, length: reference.length }
  }
  return nearest
}

function checkCounts(predictions: readonly string[], answers: readonly AcceptedAnswers[]): void {
  check(
    predictions.length === answers.length,
    () => `a metric got ${predictions.length} predictions for ${answers.length} examples: it needs one for each`,
  )
}
