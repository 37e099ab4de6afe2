/** A token with the probability that the model gave it. */
export interface ScoredToken {
  readonly id: number
  /** The text that the token adds; bytes of an unfinished character are U+FFFD. */
  readonly text: string
  /** The UTF-8 of a token that is a part of a character, which `text` cannot tell. */
  readonly bytes?: readonly number[]
  /** The natural logarithm of its probability, by the model's scores before any processor. */
  readonly logProbability: number
}

/** A token of an answer, with what was asked for. */
export interface AnswerToken {
  readonly id: number
  readonly text: string
  /** See `ScoredToken`. */
  readonly bytes?: readonly number[]
  /** Present if `logProbabilities` was asked for. */
  readonly logProbability?: number
  /** The most probable tokens at this place, best first. Present if `logProbabilities` is above 0. */
  readonly top?: readonly ScoredToken[]
  /**
   * The experts that the token met: for each sparse layer of the decoder (of the encoder, for a token of an input), in
   * order, their numbers. Present if `experts` was asked for. The token is an answer's token as it enters the decoder,
   * so the last token of an answer has none.
   */
  readonly experts?: readonly (readonly number[])[]
}

/** Why an answer ended: `stop` after EOS or a stop text, `length` at the most tokens. */
export type FinishReason = 'stop' | 'length'

/** A part of an answer. The texts of an answer's pieces, joined, are the answer. */
export interface AnswerPiece {
  /** Which answer to the input, from 0, where several are asked for. */
  readonly index: number
  /** Whole characters. Never a part of a stop text: text that may begin one is held back. */
  readonly text: string
  /** The tokens since the last piece. Their text may be held back. */
  readonly tokens: readonly AnswerToken[]
  /** null: more follows. */
  readonly finish: FinishReason | null
}
