import { ConfigError } from '../base/errors.js'
import { specialIdsOf } from '../model/config.js'
import type { ModelConfig } from '../model/config.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { banTexts } from './banned-texts.js'
import { beamSearch } from './beam.js'
import { constraintProcessors } from './constraints/constraint.js'
import { withDefaults } from './generation-options.js'
import type { GenerationOptions } from './generation-options.js'
import {
  biasSequences,
  inputNoRepeatNgram,
  inputRepetitionPenalty,
  lengthDecay,
  normalizeScores,
  suppressTokens,
  suppressTokensAt,
} from './model-processors.js'
import {
  banTokens,
  checkSetting,
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
import { epsilonCutoff, etaCutoff, topH, typicalP } from './sampling-processors.js'
import { greedySearch, sampling } from './search.js'
import { severalSearches } from './several-searches.js'
import type { Search, SearchOptions } from './search.js'
import { stopRule } from './stop-rule.js'
import type { TextOptions } from './text-options.js'

/** What a search depends on besides its options. */
export interface SearchContext {
  readonly config: Pick<ModelConfig, 'specialIds' | 'generation'>
  /** The most tokens of an answer that the model was loaded for. */
  readonly limit: number
  /** The vocabulary of answers. Required if texts are banned or end an answer. */
  readonly vocabulary?: Vocabulary
  /** The token ids of the input. */
  readonly input: readonly number[]
}

/**
 * The search for one text that the options ask for, with the model's defaults where they ask for nothing. Throws a
 * ConfigError if options contradict each other.
 */
export function searchOf(given: TextOptions, context: SearchContext): Search {
  const { config, limit, vocabulary } = context
  const specialIds = specialIdsOf(config)
  const { prefix = [] } = given
  if (prefix.length > limit)
    throw new ConfigError(
      `the answer begins with ${prefix.length} tokens (prefix), and has at most ${limit} tokens: give maxNewTokens for longer answers when the model is opened`,
    )
  const options = withDefaults(given, config.generation ?? {}, limit - prefix.length)
  const { maxNewTokens, stop = [], minNewTokens, numBeams, doSample, seed = 0 } = options
  if (stop.includes('')) throw new ConfigError('a stop text is empty, and every answer contains it: leave it out')
  if (minNewTokens > maxNewTokens)
    throw new ConfigError(
      `minNewTokens is ${minNewTokens}, more than the most tokens of an answer (maxNewTokens, ${maxNewTokens})`,
    )
  const processors = processorsOf(options, context)
  const common = (): SearchOptions => ({
    maxNewTokens,
    processors,
    specialIds,
    prefix,
    experts: options.experts,
    topTokens: options.logProbabilities,
    ...(stop.length > 0 && { stop: stopRule(stop, required(vocabulary), prefix.length) }),
  })
  const { logProbabilities: count } = options
  if (count !== undefined)
    checkSetting('logProbabilities', count, Number.isInteger(count) && count >= 0, 'a whole number from 0')
  const logProbabilities = count !== undefined
  const { numReturned = 1, lengthPenalty, earlyStopping } = options
  if (options.search) {
    if (doSample || numBeams > 1)
      throw new ConfigError(
        'a custom search cannot be combined with beam search (numBeams) or sampling (temperature, topK, topP, minP, seed)',
      )
    if (prefix.length > 0) throw new ConfigError('a custom search cannot be combined with a prefix: leave one out')
    return options.search(common())
  }
  if (numBeams > 1)
    return beamSearch({
      ...common(),
      numBeams,
      numReturned,
      lengthPenalty,
      earlyStopping,
      ...(doSample && { sampleSeed: seed }),
    })
  if (numReturned > 1 && !doSample)
    throw new ConfigError('numReturned above 1 needs beam search or sampling: set numBeams, or a temperature to sample')
  if (!doSample) return greedySearch({ ...common(), logProbabilities })
  return severalSearches(
    Array.from({ length: numReturned }, (_, stream) => sampling({ ...common(), logProbabilities, seed, stream })),
  )
}

function required(vocabulary: Vocabulary | undefined): Vocabulary {
  if (vocabulary === undefined)
    throw new ConfigError('constraints, and texts that are banned or end an answer, need a vocabulary')
  return vocabulary
}

const isConstrained = ({ choices, regex, jsonSchema }: TextOptions): boolean =>
  choices !== undefined || regex !== undefined || jsonSchema !== undefined

/** The processors that the options ask for, in the order of transformers' `generate`. */
function processorsOf(options: GenerationOptions, { config, vocabulary, input }: SearchContext): ScoreProcessor[] {
  const ifGiven = <T>(value: T | undefined, make: (value: T) => ScoreProcessor): ScoreProcessor[] =>
    value === undefined ? [] : [make(value)]
  const specialIds = specialIdsOf(config)
  const { eosIds, forcedFirstIds } = specialIds
  // As in transformers, lengths are counted from the end of the prefix.
  const begun = options.prefix?.length ?? 0
  // As in transformers, a beam keeps a token that does not end it.
  const keep = options.numBeams > 1 ? eosIds.length + 1 : 1
  // As in transformers, a banned sequence that is an EOS alone has no effect.
  const isEos = (ids: readonly number[]): boolean => ids.length === 1 && eosIds.includes(ids[0])
  return [
    ...ifGiven(options.biases, biasSequences),
    ...ifGiven(options.inputRepetitionPenalty, penalty => inputRepetitionPenalty(penalty, input)),
    ...ifGiven(options.repetitionPenalty, repetitionPenalty),
    ...ifGiven(options.noRepeatNgram, noRepeatNgram),
    ...ifGiven(options.inputNoRepeatNgram, size => inputNoRepeatNgram(size, input)),
    ...ifGiven(options.bannedIds, sequences =>
      banTokens(
        sequences.filter(ids => !isEos(ids)),
        { countStart: true },
      ),
    ),
    ...ifGiven(options.banned, texts => banTexts(texts, required(vocabulary))),
    ...ifGiven(options.minNewTokens, count => minNewTokens(begun + count, eosIds)),
    ...forcedBy(specialIds, begun + options.maxNewTokens),
    ...ifGiven(options.lengthDecay, ({ start, factor }) => lengthDecay(begun + start, factor, eosIds)),
    ...ifGiven(options.suppressedIds, suppressTokens),
    ...ifGiven(options.suppressedFirstIds, ids =>
      suppressTokensAt(ids, begun > 0 || forcedFirstIds === undefined ? begun : 1),
    ),
    ...(isConstrained(options)
      ? constraintProcessors(options, { vocabulary: required(vocabulary), eosIds, skipped: 1 + begun })
      : []),
    ...ifGiven(options.temperature, temperature),
    ...ifGiven(options.topH, topH),
    ...ifGiven(options.topK, k => topK(Math.max(k, keep))),
    ...ifGiven(options.topP, p => topP(p, keep)),
    ...ifGiven(options.minP, p => minP(p, keep)),
    ...ifGiven(options.typicalP, mass => typicalP(mass, keep)),
    ...ifGiven(options.epsilonCutoff, epsilon => epsilonCutoff(epsilon, keep)),
    ...ifGiven(options.etaCutoff, epsilon => etaCutoff(epsilon, keep)),
    ...(options.processors ?? []),
    ...(options.normalizeScores ? [normalizeScores] : []),
  ]
}
