import { biases, count, decay, flag, ids, number, positive, positiveShare } from './generation-kinds.js'
import { sequences, share, size, stopping, texts } from './generation-kinds.js'
import type { Kind } from './generation-kinds.js'

/**
 * How a model generates unless its user says otherwise: the settings of its generation_config.json. A setting that is
 * absent has the effect that transformers gives to its absence, with these exceptions:
 * - Without `maxNewTokens`, an answer has at most 128 tokens, where transformers makes 20.
 * - Without `topK`, sampling considers all tokens. transformers takes the 50 most probable ones unless the file says
 *   top_k 0, so a model that is read from its files has `topK: 50` if they do not say.
 * - If no file says from which token decoding starts, it starts from padding, where transformers refuses to generate.
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

  /** The number of beams. Above 1: beam search. */
  readonly numBeams?: number
  /** The number of answers to one input. */
  readonly numReturned?: number
  /** Beam search divides scores by length ** lengthPenalty. */
  readonly lengthPenalty?: number
  /** When beam search stops: see `BeamOptions`. */
  readonly earlyStopping?: boolean | 'never'
  /** Whether tokens are sampled. */
  readonly doSample?: boolean

  // Sampling: these have an effect only if tokens are sampled

  /** Divides the scores. */
  readonly temperature?: number
  /** Samples from this many of the most probable tokens. 0: from all. */
  readonly topK?: number
  /** Samples from the most probable tokens that add up to this probability. 0: from the most probable token alone. */
  readonly topP?: number
  /** Samples from tokens at least this share as probable as the most probable one. */
  readonly minP?: number
  /** Samples from the tokens whose information is nearest to its mean, up to this probability. */
  readonly typicalP?: number
  /** Samples from tokens of at least this probability. */
  readonly epsilonCutoff?: number
  /** Samples from tokens of at least this probability, or of less where the distribution is flat. */
  readonly etaCutoff?: number
  /** Samples from the most probable tokens, up to this share of the entropy. */
  readonly topH?: number

  // Tokens

  /** Above 1: tokens of the answer become less probable. */
  readonly repetitionPenalty?: number
  /** No sequence of this many tokens occurs twice. */
  readonly noRepeatNgram?: number
  /** Above 1: tokens of the input become more probable. */
  readonly inputRepetitionPenalty?: number
  /** The answer has no sequence of this many tokens that the input has. */
  readonly inputNoRepeatNgram?: number
  /** Sequences of tokens that the answer never contains. */
  readonly bannedIds?: readonly (readonly number[])[]
  /** Added to the score of the last token of a sequence where its other tokens precede it. */
  readonly biases?: readonly { readonly ids: readonly number[]; readonly bias: number }[]
  /** Tokens that the answer never contains. */
  readonly suppressedIds?: readonly number[]
  /** Tokens that the answer does not begin with; after a forced first token, that do not follow it. */
  readonly suppressedFirstIds?: readonly number[]
  /** Whether scores are made log-probabilities again after all changes, which beam search adds up. */
  readonly normalizeScores?: boolean

  /**
   * Settings of generation_config.json that have no effect here: those of methods that Switchyard does not have, and
   * values that are out of range. JSON texts as the file has them, by transformers' names of the settings.
   */
  readonly unsupported?: { readonly [name: string]: string }
}

/** What is known of a setting of generation. */
export interface GenerationSetting<T> {
  /** Its name in Hugging Face's generation_config.json. */
  readonly hf: string
  readonly kind: Kind<T>
  /** Whether a value has no effect, as if the setting were absent. The value may be out of the setting's range. */
  readonly isNeutral?: (value: T) => boolean
  /** The only search that reads it. */
  readonly of?: 'beams' | 'sampling'
  /** Another name in generation_config.json, of the same length with the decoder's start token. `hf` comes first. */
  readonly hfLength?: string
}

type SettingsTable = {
  readonly [K in keyof Required<Omit<GenerationDefaults, 'unsupported'>>]: GenerationSetting<
    NonNullable<GenerationDefaults[K]>
  >
}

/** Reading and writing generation_config.json, the schema of our own configuration and messages use this table. */
// prettier-ignore
export const generationSettings: SettingsTable = {
  maxNewTokens:           { hf: 'max_new_tokens', kind: size, hfLength: 'max_length' },
  minNewTokens:           { hf: 'min_new_tokens', kind: count, hfLength: 'min_length', isNeutral: x => x <= 0 },
  lengthDecay:            { hf: 'exponential_decay_length_penalty', kind: decay },
  stop:                   { hf: 'stop_strings', kind: texts },
  numBeams:               { hf: 'num_beams', kind: size, isNeutral: x => x === 1 },
  numReturned:            { hf: 'num_return_sequences', kind: size, isNeutral: x => x <= 1 },
  lengthPenalty:          { hf: 'length_penalty', kind: number, isNeutral: x => x === 1, of: 'beams' },
  earlyStopping:          { hf: 'early_stopping', kind: stopping, isNeutral: x => x === false, of: 'beams' },
  doSample:               { hf: 'do_sample', kind: flag, isNeutral: x => !x },
  temperature:            { hf: 'temperature', kind: positive, isNeutral: x => x === 1, of: 'sampling' },
  topK:                   { hf: 'top_k', kind: count, isNeutral: x => x === 0, of: 'sampling' },
  topP:                   { hf: 'top_p', kind: share, isNeutral: x => x >= 1, of: 'sampling' },
  minP:                   { hf: 'min_p', kind: share, isNeutral: x => x === 0, of: 'sampling' },
  typicalP:               { hf: 'typical_p', kind: positiveShare, isNeutral: x => x >= 1, of: 'sampling' },
  epsilonCutoff:          { hf: 'epsilon_cutoff', kind: share, isNeutral: x => x <= 0 || x >= 1, of: 'sampling' },
  etaCutoff:              { hf: 'eta_cutoff', kind: share, isNeutral: x => x <= 0 || x >= 1, of: 'sampling' },
  topH:                   { hf: 'top_h', kind: positiveShare, of: 'sampling' },
  repetitionPenalty:      { hf: 'repetition_penalty', kind: positive, isNeutral: x => x === 1 },
  noRepeatNgram:          { hf: 'no_repeat_ngram_size', kind: count, isNeutral: x => x <= 0 },
  inputRepetitionPenalty: { hf: 'encoder_repetition_penalty', kind: positive, isNeutral: x => x === 1 },
  inputNoRepeatNgram:     { hf: 'encoder_no_repeat_ngram_size', kind: count, isNeutral: x => x <= 0 },
  bannedIds:              { hf: 'bad_words_ids', kind: sequences },
  biases:                 { hf: 'sequence_bias', kind: biases },
  suppressedIds:          { hf: 'suppress_tokens', kind: ids },
  suppressedFirstIds:     { hf: 'begin_suppress_tokens', kind: ids },
  normalizeScores:        { hf: 'renormalize_logits', kind: flag, isNeutral: x => !x },
}

/** The settings of the table, each with our name. */
export const settingEntries = Object.entries(generationSettings) as readonly (readonly [
  keyof SettingsTable,
  GenerationSetting<unknown>,
])[]

/** A model whose answers have at most `maxNewTokens` tokens by default, instead of as many as its own defaults say. */
export const withAnswersOf = <T extends { readonly generation?: GenerationDefaults }>(
  model: T,
  maxNewTokens: number,
): T => (model.generation === undefined ? model : { ...model, generation: { ...model.generation, maxNewTokens } })
