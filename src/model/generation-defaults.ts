/**
 * How a model generates unless its user says otherwise: the settings of its generation_config.json. A setting that is
 * absent has the effect that transformers gives to its absence.
 */
export type GenerationDefaults = {
  // Lengths, in tokens without the decoder's start

  /** The most tokens of an answer, EOS included. */
  readonly maxNewTokens?: number
  /** The fewest tokens before EOS. */
  readonly minNewTokens?: number
  /** Changes the scores of every EOS by a factor that grows with each token after the first `start`. */
  readonly lengthDecay?: { readonly start: number; readonly factor: number }
  /** The answer ends with the token that completes one of these texts. */
  readonly stop?: readonly string[]

  // Search

  readonly numBeams?: number
  readonly numReturned?: number
  readonly lengthPenalty?: number
  readonly earlyStopping?: boolean | 'never'

  // Sampling: these have an effect only if answers are sampled

  /** Whether answers are sampled. */
  readonly doSample?: boolean
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly minP?: number
  readonly typicalP?: number
  readonly epsilonCutoff?: number
  readonly etaCutoff?: number
  readonly topH?: number

  // Tokens

  readonly repetitionPenalty?: number
  readonly noRepeatNgram?: number
  /** Above 1: tokens of the input become more probable. */
  readonly inputRepetitionPenalty?: number
  /** The answer has no sequence of this many tokens that the input has. */
  readonly inputNoRepeatNgram?: number
  /** Sequences of tokens that the answer never contains. */
  readonly bannedIds?: readonly (readonly number[])[]
  /** Added to the score of the last token of a sequence where the others precede it. */
  readonly biases?: readonly { readonly ids: readonly number[]; readonly bias: number }[]
  /** Tokens that the answer never contains. */
  readonly suppressedIds?: readonly number[]
  /** Tokens that the answer does not begin with; after a forced first token, that do not follow it. */
  readonly suppressedFirstIds?: readonly number[]
  /** Whether scores are made log-probabilities again after all changes, which beam search adds up. */
  readonly normalizeScores?: boolean

  /**
   * Settings of transformers that would change answers and have no effect here: their values as JSON, by their names.
   */
  readonly unsupported?: { readonly [name: string]: string }
}

/** A model whose answers have at most `maxNewTokens` tokens by default, instead of as many as its own defaults say. */
export const withAnswersOf = <T extends { readonly generation?: GenerationDefaults }>(
  model: T,
  maxNewTokens: number,
): T => (model.generation === undefined ? model : { ...model, generation: { ...model.generation, maxNewTokens } })
