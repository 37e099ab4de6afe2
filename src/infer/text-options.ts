import type { ScoreProcessor } from './processors.js'
import type { Search, SearchOptions } from './search.js'

/** How an answer is generated. Without options: as the model's defaults say, or greedily until EOS if it has none. */
export interface TextOptions {
  /** The most tokens an answer has, EOS included, up to what the model was loaded for. */
  maxNewTokens?: number
  /** The fewest tokens before EOS. */
  minNewTokens?: number
  /** The number of beams. Above 1: beam search; with an option of sampling, each step draws the continuations. */
  numBeams?: number
  /** The number of answers, of beam search (at most numBeams) or of sampling (each drawn by itself). Default: 1. */
  numReturned?: number
  /** Beam search divides scores by length ** lengthPenalty: values above 0 favour long answers. */
  lengthPenalty?: number
  /** When beam search stops: see `BeamOptions`. */
  earlyStopping?: boolean | 'never'
  /** Whether to sample; without any other option of sampling, as the model's defaults say. */
  doSample?: boolean
  /** Divides the scores. Any of temperature, topK, topP, minP and seed turns sampling on. */
  temperature?: number
  /** Samples from the k most probable tokens. 0: from all, also if the model's defaults say otherwise. */
  topK?: number
  /** Samples from the most probable tokens whose probabilities add up to this share. 0: only the most probable one. */
  topP?: number
  /** Samples from tokens at least this share as probable as the most probable one. */
  minP?: number
  /** The same seed gives the same text. Default: 0. */
  seed?: number
  /** Above 1: tokens that occurred before become less probable. */
  repetitionPenalty?: number
  /** No sequence of this many tokens occurs twice. */
  noRepeatNgram?: number
  /** Texts that the answer never contains. */
  banned?: readonly string[]
  /** Generation ends when the answer has one of these texts; the answer's text ends before it. */
  stop?: readonly string[]
  /** The answer is one of these texts, with the tokens that the vocabulary divides it into. */
  choices?: readonly string[]
  /** The answer matches this regular expression of JavaScript (with the flag `u`) as a whole. */
  regex?: string
  /** The answer is JSON that this JSON Schema allows: see `jsonGrammar` for what is supported. */
  jsonSchema?: object | boolean
  /**
   * Token ids that the decoder is forced to begin with. The answer is what follows: its text, its tokens and its length
   * are without the prefix. With a prefix, maxNewTokens may be 0.
   */
  prefix?: readonly number[]
  /**
   * If given, an answer's score is the sum of its tokens' log-probabilities (but that of beam search), and the tokens
   * of its pieces have theirs and this many of the most probable tokens, by the model's scores before any other option
   * changes them.
   */
  logProbabilities?: number
  /**
   * Whether the pieces of an answer have the experts that its tokens met. Each token is then given one step later, when
   * it has entered the decoder.
   */
  experts?: boolean
  /** Custom processors, applied after the built-in ones. */
  processors?: readonly ScoreProcessor[]
  /**
   * A custom search in place of greedy search, sampling and beam search. It is called once for each text, with the
   * limit, the processors and the stopping rule that the remaining options give.
   */
  search?: (options: SearchOptions) => Search
}
