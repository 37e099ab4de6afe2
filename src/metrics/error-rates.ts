import { check } from '../base/errors.js'
import { editDistance } from '../base/edit-distance.js'
import { splitWords } from '../text/symbols.js'

/** The right answers to one input: any of them counts as right. */
export interface AcceptedAnswers {
  readonly target: string
  readonly alternatives: readonly string[]
}

export interface ErrorRates {
  /** Symbol errors over symbols: for phonemes, the phoneme error rate. 0.05 is 5%; it can pass 1. NaN without examples. */
  readonly per: number
  /** The share of examples whose prediction is none of the accepted answers: for words, the word error rate. */
  readonly wer: number
  readonly examples: number
  readonly wrong: number
  readonly edits: number
  readonly referenceSymbols: number
}

/**
 * Error rates over a whole corpus: edits and lengths are summed first and divided once, as usual in this field. Each
 * prediction is measured against the accepted answer nearest to it (the target if it is among the nearest), and that
 * answer's length is what counts. `symbols` cuts a text into the units of the edit distance.
 */
export function sequenceErrorRates(
  predictions: readonly string[],
  examples: readonly AcceptedAnswers[],
  symbols: (text: string) => string[] = splitWords,
): ErrorRates {
  check(
    predictions.length === examples.length,
    () => `${predictions.length} predictions for ${examples.length} examples`,
  )
  let wrong = 0
  let edits = 0
  let referenceSymbols = 0
  examples.forEach(({ target, alternatives }, i) => {
    const predicted = symbols(predictions[i])
    let distance = Infinity
    let length = 0
    for (const answer of [target, ...alternatives]) {
      const reference = symbols(answer)
      const d = editDistance(predicted, reference)
      if (d < distance) {
        distance = d
        length = reference.length
      }
    }
    if (distance > 0) wrong++
    edits += distance
    referenceSymbols += length
  })
  return {
    per: edits / referenceSymbols,
    wer: wrong / examples.length,
    examples: examples.length,
    wrong,
    edits,
    referenceSymbols,
  }
}
