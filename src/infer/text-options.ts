import { ConfigError } from '../base/errors.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { beamSearch } from './beam.js'
import {
  banTokens,
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
import type { Search } from './search.js'

/** How a text is answered. With none of these: greedily, until EOS. */
export interface TextOptions {
  /** How many tokens are made at most. */
  maxNewTokens?: number
  minNewTokens?: number
  /** Above 1: beam search, which cannot be combined with sampling. */
  numBeams?: number
  numReturned?: number
  lengthPenalty?: number
  earlyStopping?: boolean | 'never'
  /** Any of the next five: sampling. The same seed gives the same text; the default is 0. */
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  seed?: number
  repetitionPenalty?: number
  noRepeatNgram?: number
  /** Texts that must not come. */
  banned?: readonly string[]
  /** The answer ends with the token that completes one of these texts. */
  stop?: readonly string[]
  /** Whoever wants to change scores in another way. They come after all others. */
  processors?: readonly ScoreProcessor[]
}

/** The search that the options ask for. Throws a ConfigError if they contradict each other. */
export function searchOf(options: TextOptions, vocabulary: Vocabulary, maxNewTokens: number): Search {
  const { numBeams = 1, stop = [], seed } = options
  const common = {
    maxNewTokens: Math.min(options.maxNewTokens ?? maxNewTokens, maxNewTokens),
    processors: processorsOf(options, vocabulary),
    ...(stop.length > 0
      ? {
          stop: (tokens: readonly number[]) => {
            const text = vocabulary.decode(tokens)
            return stop.some(s => text.includes(s))
          },
        }
      : {}),
  }
  const { minNewTokens: least } = options
  if (least !== undefined && least > common.maxNewTokens)
    throw new ConfigError(
      `minNewTokens is ${least}, more than an answer has at most (maxNewTokens, ${common.maxNewTokens})`,
    )
  const samples = [options.temperature, options.topK, options.topP, options.minP, seed].some(x => x !== undefined)
  if (numBeams > 1) {
    if (samples)
      throw new ConfigError(
        'beam search and sampling (temperature, topK, topP, minP, seed) cannot be combined: choose one of them',
      )
    const { numReturned, lengthPenalty, earlyStopping } = options
    return beamSearch({ ...common, numBeams, numReturned, lengthPenalty, earlyStopping })
  }
  if ((options.numReturned ?? 1) > 1)
    throw new ConfigError('several answers come from beam search alone: give numBeams too')
  return samples ? sampling({ ...common, seed: seed ?? 0 }) : greedySearch(common)
}

/** In HF's order. */
function processorsOf(options: TextOptions, vocabulary: Vocabulary): ScoreProcessor[] {
  const made = <T>(value: T | undefined, make: (value: T) => ScoreProcessor): ScoreProcessor[] =>
    value === undefined ? [] : [make(value)]
  return [
    ...made(options.repetitionPenalty, repetitionPenalty),
    ...made(options.noRepeatNgram, noRepeatNgram),
    ...made(options.banned, texts => banTokens(texts.map(text => vocabulary.encode(text)))),
    ...made(options.minNewTokens, minNewTokens),
    ...made(options.temperature, temperature),
    ...made(options.topK, topK),
    ...made(options.topP, topP),
    ...made(options.minP, minP),
    ...(options.processors ?? []),
  ]
}
