import { biases, count, decay, flag, ids, number, positive, positiveShare } from './generation-kinds.js'
import { sequences, share, size, stopping, texts } from './generation-kinds.js'
import type { Kind } from './generation-kinds.js'

/** What is known of a setting of generation. */
export interface GenerationSetting<T> {
  /** Its name in Hugging Face's generation_config.json. */
  readonly hf: string
  readonly kind: Kind<T>
  /** Whether a number or a flag has no effect, as if the setting were absent. Such values may be outside its range. */
  readonly isNeutral?: (value: T) => boolean
  /** The only search that reads it. */
  readonly of?: 'beams' | 'sampling'
  /** Another name in generation_config.json, of the same length with the decoder's start token. `hf` comes first. */
  readonly hfLength?: string
}

const setting = <T>(
  hf: string,
  kind: Kind<T>,
  others: Omit<GenerationSetting<T>, 'hf' | 'kind'> = {},
): GenerationSetting<T> => ({ hf, kind, ...others })

const is =
  <T>(neutral: T) =>
  (value: T): boolean =>
    value === neutral
const atMost =
  (neutral: number) =>
  (value: number): boolean =>
    value <= neutral
const atLeast =
  (neutral: number) =>
  (value: number): boolean =>
    value >= neutral
const outside01 = (value: number): boolean => value <= 0 || value >= 1

/**
 * Every setting of generation that a model can have a default for. Reading and writing generation_config.json, the
 * schema of our own configuration, and messages all come from this table.
 */
export const generationSettings = {
  // Lengths, in tokens without the decoder's start token

  /** The most tokens of an answer, EOS included. */
  maxNewTokens: setting('max_new_tokens', size, { hfLength: 'max_length' }),
  /** The fewest tokens before EOS. */
  minNewTokens: setting('min_new_tokens', count, { hfLength: 'min_length', isNeutral: atMost(0) }),
  /** Changes the scores of every EOS by a factor that grows with each token after the first `start`. */
  lengthDecay: setting('exponential_decay_length_penalty', decay),
  /** The answer ends with the token that completes one of these texts. */
  stop: setting('stop_strings', texts),

  // Search

  /** The number of beams. 1: no beam search. */
  numBeams: setting('num_beams', size, { isNeutral: is(1) }),
  /** The number of answers to one input. */
  numReturned: setting('num_return_sequences', size, { isNeutral: atMost(1) }),
  /** Beam search divides scores by length ** lengthPenalty. */
  lengthPenalty: setting('length_penalty', number, { isNeutral: is(1), of: 'beams' }),
  /** When beam search stops: see `BeamOptions`. */
  earlyStopping: setting('early_stopping', stopping, { isNeutral: is<boolean | 'never'>(false), of: 'beams' }),
  /** Whether tokens are sampled. */
  doSample: setting('do_sample', flag, { isNeutral: is(false) }),

  // Sampling

  /** Divides the scores. */
  temperature: setting('temperature', positive, { isNeutral: is(1), of: 'sampling' }),
  /** Samples from this many of the most probable tokens. Absent or 0: from all. */
  topK: setting('top_k', count, { isNeutral: is(0), of: 'sampling' }),
  /** Samples from the most probable tokens that add up to this probability. 0: from the most probable token alone. */
  topP: setting('top_p', share, { isNeutral: atLeast(1), of: 'sampling' }),
  /** Samples from tokens at least this share as probable as the most probable one. */
  minP: setting('min_p', share, { isNeutral: is(0), of: 'sampling' }),
  /** Samples from the tokens whose information is nearest to its mean, up to this probability. */
  typicalP: setting('typical_p', positiveShare, { isNeutral: atLeast(1), of: 'sampling' }),
  /** Samples from tokens of at least this probability. */
  epsilonCutoff: setting('epsilon_cutoff', share, { isNeutral: outside01, of: 'sampling' }),
  /** Samples from tokens of at least this probability, or less where the distribution is flat. */
  etaCutoff: setting('eta_cutoff', share, { isNeutral: outside01, of: 'sampling' }),
  /** Samples from the most probable tokens, up to this share of the entropy. */
  topH: setting('top_h', positiveShare, { of: 'sampling' }),

  // Tokens

  /** Above 1: tokens of the answer become less probable. */
  repetitionPenalty: setting('repetition_penalty', positive, { isNeutral: is(1) }),
  /** No sequence of this many tokens occurs twice. */
  noRepeatNgram: setting('no_repeat_ngram_size', count, { isNeutral: atMost(0) }),
  /** Above 1: tokens of the input become more probable. */
  inputRepetitionPenalty: setting('encoder_repetition_penalty', positive, { isNeutral: is(1) }),
  /** The answer has no sequence of this many tokens that the input has. */
  inputNoRepeatNgram: setting('encoder_no_repeat_ngram_size', count, { isNeutral: atMost(0) }),
  /** Sequences of tokens that the answer never contains. */
  bannedIds: setting('bad_words_ids', sequences),
  /** Added to the score of the last token of a sequence where its other tokens precede it. */
  biases: setting('sequence_bias', biases),
  /** Tokens that the answer never contains. */
  suppressedIds: setting('suppress_tokens', ids),
  /** Tokens that the answer does not begin with; after a forced first token, that do not follow it. */
  suppressedFirstIds: setting('begin_suppress_tokens', ids),
  /** Whether scores are made log-probabilities again after all changes, which beam search adds up. */
  normalizeScores: setting('renormalize_logits', flag, { isNeutral: is(false) }),
}

type Settings = typeof generationSettings
type ValueOf<S> = S extends GenerationSetting<infer T> ? T : never

/**
 * How a model generates unless its user says otherwise: the settings of its generation_config.json. A setting that is
 * absent has the effect that transformers gives to its absence, with these exceptions:
 * - Without `maxNewTokens`, an answer has at most 128 tokens, where transformers makes 20.
 * - Without `topK`, sampling considers all tokens. transformers takes the 50 most probable ones unless the file says
 *   top_k 0, so a model that is read from its files has `topK: 50` if they do not say.
 * - If no file says from which token decoding starts, it starts from padding, where transformers refuses to generate.
 */
export type GenerationDefaults = { readonly [K in keyof Settings]?: ValueOf<Settings[K]> } & {
  /**
   * Settings of generation_config.json that have no effect here: those of methods that Switchyard does not have, and
   * values that are out of range. JSON texts as the file has them, by transformers' names of the settings.
   */
  readonly unsupported?: { readonly [name: string]: string }
}

/** A model whose answers have at most `maxNewTokens` tokens by default, instead of as many as its own defaults say. */
export const withAnswersOf = <T extends { readonly generation?: GenerationDefaults }>(
  model: T,
  maxNewTokens: number,
): T => (model.generation === undefined ? model : { ...model, generation: { ...model.generation, maxNewTokens } })

/** The settings of the table, each with our name. */
export const settingEntries = Object.entries(generationSettings) as readonly (readonly [
  keyof Settings,
  GenerationSetting<unknown>,
])[]
