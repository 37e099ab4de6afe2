import { editDistance } from '../base/edit-distance.js'
import { checkCounts } from './check.js'
import { acceptedAnswers, formatPercent } from './metric.js'
import type { AcceptedAnswers, Metric } from './metric.js'

/** Cuts a text into the units that edits are counted in: words, characters, phonemes. */
export type SplitSymbols = (text: string) => string[]

type ErrorRate = Metric<AcceptedAnswers, string>

/**
 * Edits (insertions, deletions, substitutions of symbols) divided by the symbols of the accepted answers. For phonemes
 * it is the phoneme error rate, for characters the character error rate. 0.05 is 5%; it can exceed 1. Edits and lengths
 * are summed over all examples and divided once. Each prediction is compared with the accepted answer that is nearest
 * to it, and with the target if that is among the nearest; the compared answer's length is what counts. NaN without
 * examples.
 */
export const symbolErrorRate = (name: string, symbols: SplitSymbols): ErrorRate => ({
  ...errorRate(name, symbols),
  compute(targets, predictions) {
    checkCounts(targets, predictions)
    let edits = 0
    let length = 0
    targets.forEach((accepted, i) => {
      const nearest = nearestAnswer(symbols(predictions[i]), accepted, symbols)
      edits += nearest.edits
      length += nearest.length
    })
    return { [name]: edits / length }
  },
  explain: rate =>
    rate > 1
      ? `${name}: a rate above 100% means that answers are longer than their targets. Each extra symbol counts as an error, and the errors are divided by the number of symbols in the targets.`
      : undefined,
})

/**
 * The share of predictions that equal no accepted answer, symbol by symbol. For words it is the word error rate of
 * grapheme-to-phoneme conversion. NaN without examples.
 */
export const wrongAnswerRate = (name: string, symbols: SplitSymbols): ErrorRate => {
  const rate = errorRate(name, symbols)
  return {
    ...rate,
    compute(targets, predictions) {
      checkCounts(targets, predictions)
      const wrong = targets.filter((target, i) => !rate.isRight(target, predictions[i]))
      return { [name]: wrong.length / targets.length }
    },
  }
}

/** What both error rates share. */
const errorRate = (name: string, symbols: SplitSymbols) => ({
  name,
  input: 'predictions' as const,
  better: 'lower' as const,
  format: formatPercent,
  isRight(answers: AcceptedAnswers, prediction: string): boolean {
    const predicted = symbols(prediction)
    return acceptedAnswers(answers).some(answer => equalSymbols(symbols(answer), predicted))
  },
})

const equalSymbols = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((symbol, i) => symbol === b[i])

function nearestAnswer(
  predicted: readonly string[],
  answers: AcceptedAnswers,
  symbols: SplitSymbols,
): { edits: number; length: number } {
  let nearest = { edits: Infinity, length: 0 }
  for (const answer of acceptedAnswers(answers)) {
    const reference = symbols(answer)
    const edits = editDistance(predicted, reference)
    if (edits < nearest.edits) nearest = { edits, length: reference.length }
  }
  return nearest
}
