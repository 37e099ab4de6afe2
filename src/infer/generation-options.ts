import { ConfigError } from '../base/errors.js'
import type { GenerationDefaults } from '../model/generation-defaults.js'
import type { TextOptions } from './text-options.js'

/** How an answer is generated: what its user asks for, and what the model's defaults add. */
export type GenerationOptions = TextOptions &
  Omit<GenerationDefaults, keyof TextOptions | 'unsupported'> & {
    readonly maxNewTokens: number
    readonly doSample: boolean
  }

/**
 * A user's options, with a model's defaults where the user does not say otherwise. A search that the user chooses is
 * the user's alone: sampling takes no beams from the defaults, and beam search no sampling. `limit` is the most tokens
 * that the model was loaded for. Throws a ConfigError if the options contradict each other.
 */
export function withDefaults(given: TextOptions, defaults: GenerationDefaults, limit: number): GenerationOptions {
  const user = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as TextOptions
  const asksFor = samplingOf(user)
  if (user.doSample === false && asksFor)
    throw new ConfigError('temperature, topK, topP, minP and seed are options of sampling, and doSample is false')
  const choosesSampling = asksFor || user.doSample === true
  const choosesBeams = (user.numBeams ?? 1) > 1 || user.search !== undefined
  const ownSearch = choosesSampling || choosesBeams || user.doSample === false || user.numBeams === 1
  const { numBeams, numReturned, doSample = false, ...others } = defaults
  const samples = choosesSampling || (doSample && user.doSample !== false && !choosesBeams)
  const maxNewTokens = Math.min(user.maxNewTokens ?? defaults.maxNewTokens ?? limit, limit)
  const merged = {
    ...(samples ? others : withoutSampling(others)),
    ...(!ownSearch && { numBeams, numReturned }),
    ...user,
    maxNewTokens,
    minNewTokens: user.minNewTokens ?? Math.min(others.minNewTokens ?? 0, maxNewTokens),
    doSample: samples,
  }
  if (samples && (merged.numBeams ?? 1) > 1)
    throw new ConfigError(
      choosesSampling
        ? 'beam search and sampling (temperature, topK, topP, minP, seed) cannot be combined: choose one of them'
        : `by its defaults, this model combines beam search (${merged.numBeams} beams) with sampling, which is not possible here: give numBeams for beam search alone, or temperature for sampling alone`,
    )
  return merged
}

const samplingOf = ({ temperature, topK, topP, minP, seed }: TextOptions): boolean =>
  [temperature, topK, topP, minP, seed].some(value => value !== undefined)

const SAMPLING = ['temperature', 'topK', 'topP', 'minP', 'typicalP', 'epsilonCutoff', 'etaCutoff', 'topH'] as const

/** Settings without those of sampling, which have no effect on other searches. */
const withoutSampling = <T extends object>(settings: T): Omit<T, (typeof SAMPLING)[number]> =>
  Object.fromEntries(Object.entries(settings).filter(([name]) => !(SAMPLING as readonly string[]).includes(name))) as T
