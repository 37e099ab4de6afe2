import type { AnswerToken, FinishReason } from './answer-piece.js'
import type { Answer } from './search.js'
import type { TextOptions } from './text-options.js'

/** An answer to a text. */
export interface TextAnswer {
  /** Ends before the first stop text. */
  readonly text: string
  /** Those of a stop text that ended the answer, and EOS, included. */
  readonly tokens: readonly number[]
  /** The score of beam search; of other searches the sum of the log-probabilities, if asked for, or else NaN. */
  readonly score: number
  /** `stop`: it ended with EOS or a stop text. `length`: it was cut at the most tokens. */
  readonly finish: FinishReason
}

/** The answers to one text, best first: one, or `numReturned` of beam search. */
export type TextAnswers = [TextAnswer, ...TextAnswer[]]

/** Log-probabilities (natural logarithms) of a given answer's tokens; `score` is their sum. */
export type TextScore = Pick<Answer, 'tokens' | 'score' | 'logProbabilities'>

/** Whether a text or its tokens are an input's or an answer's: the two may have different vocabularies. */
export type TextSide = 'input' | 'answer'

/** An input, or a given answer: a text, or token ids. */
export type TextOrIds = string | readonly number[]

export type AnswerOptions = TextOptions & {
  /** Ends generation; the call rejects with the signal's reason. */
  signal?: AbortSignal
}

export type PieceOptions = AnswerOptions & {
  /**
   * Called before the first piece, with the input's tokens. If `experts` was asked for, it is called when the input is
   * encoded, with the experts that they met in each sparse layer of the encoder.
   */
  onInput?: (tokens: readonly AnswerToken[]) => void
}
