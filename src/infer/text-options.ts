import { ConfigError } from '../base/errors.js'
import type { SpecialIds } from '../base/special-ids.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { banTexts } from './banned-texts.js'
import { beamSearch } from './beam.js'
import {
  forcedBy,
  minNewTokens,
  minP,
  noRepeatNgram,
  repetitionPenalty,
  temperature,
  topK,
  topP,
} from './processors.js'
import type { ScoreProcessor } from './processors.js'
import { greedySearch, sampling } from './search.js'
import type { Search, SearchOptions } from './search.js'

/** How an answer is generated. Without options: greedily, until EOS. */
export interface TextOptions {
  /** The most tokens an answer has, EOS included. The model's own limit cannot be exceeded. */
  maxNewTokens?: number
  /** The fewest tokens before EOS. */
  minNewTokens?: number
  /** The number of beams. Above 1: beam search, which cannot be combined with sampling. */
  numBeams?: number
  /** The number of answers that beam search returns. */
  numReturned?: number
  /** Beam search divides scores by length ** lengthPenalty: values above 0 favour long answers. */
  lengthPenalty?: number
  /** When beam search stops: see `BeamOptions`. */
  earlyStopping?: boolean | 'never'
  /** Divides the scores. Any of temperature, topK, topP, minP and seed turns sampling on. */
  temperature?: number
  /** Samples from the k most probable tokens. */
  topK?: number
  /** Samples from the most probable tokens whose probabilities add up to this share. */
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
  /** The answer ends with the token that completes one of these texts. */
  stop?: readonly string[]
  /** Custom processors, applied after the built-in ones. */
  processors?: readonly ScoreProcessor[]
  /**
   * A custom search in place of greedy search, sampling and beam search. It is called once for each text, with the
   * limit, the processors and the stopping rule that the remaining options give.
   */
  search?: (options: SearchOptions) => Search
}

/**
 * The search that the options ask for, for one text. `limit` and `specialIds` are the model's own limit of new
 * tokens and special ids. Throws a ConfigError if options contradict each other.
 */
export function searchOf(options: TextOptions, vocabulary: Vocabulary, limit: number, specialIds: SpecialIds): Search {
  if (options.stop?.includes(''))
    throw new ConfigError('a stop text is empty, and every answer contains it: leave it out')
  const maxNewTokens = Math.min(options.maxNewTokens ?? limit, limit)
  const common: SearchOptions = {
    maxNewTokens,
    processors: processorsOf({ ...options, maxNewTokens }, vocabulary, specialIds),
    specialIds,
    ...(options.stop?.length ? { stop: containsAny(options.stop, vocabulary) } : {}),
  }
  if (options.minNewTokens !== undefined && options.minNewTokens > common.maxNewTokens)
    throw new ConfigError(
      `minNewTokens is ${options.minNewTokens}, more than the most tokens of an answer (maxNewTokens, ${common.maxNewTokens})`,
    )
  const { numBeams = 1, numReturned, lengthPenalty, earlyStopping, seed } = options
  const samples = [options.temperature, options.topK, options.topP, options.minP, seed].some(x => x !== undefined)
  if (options.search) {
    if (samples || numBeams > 1)
      throw new ConfigError(
        'a custom search cannot be combined with beam search (numBeams) or sampling (temperature, topK, topP, minP, seed)',
      )
    return options.search(common)
  }
  if (numBeams > 1) {
    if (samples)
      throw new ConfigError(
        'beam search and sampling (temperature, topK, topP, minP, seed) cannot be combined: choose one of them',
      )
    return beamSearch({ ...common, numBeams, numReturned, lengthPenalty, earlyStopping })
  }
  if ((numReturned ?? 1) > 1) throw new ConfigError('numReturned above 1 needs beam search: set numBeams too')
  return samples ? sampling({ ...common, seed: seed ?? 0 }) : greedySearch(common)
}

const containsAny = (texts: readonly string[], vocabulary: Vocabulary) => (tokens: readonly number[]) => {
  const answer = vocabulary.decode(tokens)
  return texts.some(text => answer.includes(text))
}

/** The processors that the options ask for, in the order of transformers' `generate`. */
function processorsOf(
  options: TextOptions & { maxNewTokens: number },
  vocabulary: Vocabulary,
  specialIds: SpecialIds,
): ScoreProcessor[] {
  const ifGiven = <T>(value: T | undefined, make: (value: T) => ScoreProcessor): ScoreProcessor[] =>
    value === undefined ? [] : [make(value)]
  return [
    ...ifGiven(options.repetitionPenalty, repetitionPenalty),
    ...ifGiven(options.noRepeatNgram, noRepeatNgram),
    ...ifGiven(options.banned, texts => banTexts(texts, vocabulary)),
    ...ifGiven(options.minNewTokens, count => minNewTokens(count, specialIds.eosIds)),
    ...forcedBy(specialIds, options.maxNewTokens),
    ...ifGiven(options.temperature, temperature),
    ...ifGiven(options.topK, topK),
    ...ifGiven(options.topP, topP),
    ...ifGiven(options.minP, minP),
    ...(options.processors ?? []),
  ]
}
