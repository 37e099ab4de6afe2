import { ConfigError } from '../base/errors.js'
import { settingEntries } from '../model/generation-defaults.js'
import type { GenerationDefaults } from '../model/generation-defaults.js'
import type { TextOptions } from './text-options.js'

/** How an answer is generated: what its user asks for, and what the model's defaults add. */
export type GenerationOptions = TextOptions &
  Omit<GenerationDefaults, keyof TextOptions | 'unsupported'> & {
    readonly maxNewTokens: number
    readonly minNewTokens: number
    readonly numBeams: number
    readonly doSample: boolean
  }

/**
 * A user's options, with a model's defaults where the user does not say otherwise. Settings without an effect (topK 0)
 * are left out. `limit` is the most tokens that the model was loaded for. Throws a ConfigError if the user's options
 * contradict each other; a model's defaults never do.
 */
export function withDefaults(given: TextOptions, defaults: GenerationDefaults, limit: number): GenerationOptions {
  const user = givenOptions(given)
  const { samples, numBeams, isUsers } = searchAskedFor(user, defaults)
  const { numReturned, unsupported: _, ...others } = defaults
  const maxNewTokens = Math.min(user.maxNewTokens ?? defaults.maxNewTokens ?? limit, limit)
  // A file may ask for more answers than its own search gives.
  const mostReturned = numBeams > 1 ? numBeams : samples ? Infinity : 1
  const merged = {
    ...others,
    ...(!isUsers && numReturned !== undefined && { numReturned: Math.min(numReturned, mostReturned) }),
    ...user,
  }
  const unread = new Set<string>(
    settingEntries
      .filter(([name, { of, kind, isNeutral }]) => {
        const value = merged[name]
        return (of === 'sampling' && !samples) || (kind.holds(value) && isNeutral?.(value))
      })
      .map(([name]) => name),
  )
  return {
    ...(Object.fromEntries(Object.entries(merged).filter(([name]) => !unread.has(name))) as typeof merged),
    maxNewTokens,
    minNewTokens: user.minNewTokens ?? Math.min(others.minNewTokens ?? 0, maxNewTokens),
    numBeams,
    doSample: samples,
  }
}

/**
 * The names of those settings in `defaults.unsupported` that would matter to an answer with these options: not those of
 * another search, and not those that the user gives.
 */
export function unsupportedFor(given: TextOptions, defaults: GenerationDefaults): readonly string[] {
  const user = givenOptions(given)
  const { samples, numBeams, isUsers } = searchAskedFor(user, defaults)
  return Object.keys(defaults.unsupported ?? {}).filter(key => {
    const [name, setting] = settingEntries.find(([, { hf, hfLength }]) => hf === key || hfLength === key) ?? []
    if (name === undefined) return true
    if (name in user || (isUsers && SEARCHES.has(name))) return false
    return setting?.of === undefined || (setting.of === 'sampling' ? samples : numBeams > 1)
  })
}

/** The settings that choose a search. */
const SEARCHES: ReadonlySet<string> = new Set(['numBeams', 'numReturned', 'doSample'])

const givenOptions = (options: TextOptions): TextOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as TextOptions

/**
 * The search that a user or the model's defaults ask for. `isUsers`: the user has chosen it. Then sampling takes no
 * beams from the defaults, and beam search no sampling.
 */
function searchAskedFor(
  user: TextOptions,
  defaults: GenerationDefaults,
): { samples: boolean; numBeams: number; isUsers: boolean } {
  const wantsSampling = SAMPLING.some(name => user[name] !== undefined)
  if (user.doSample === false && wantsSampling)
    throw new ConfigError('temperature, topK, topP, minP and seed are options of sampling, and doSample is false')
  const wantsBeams = (user.numBeams ?? 1) > 1 || user.search !== undefined
  const isUsers = wantsSampling || wantsBeams || user.doSample !== undefined || user.numBeams !== undefined
  const samplesByDefault = user.doSample === undefined && !wantsBeams && (defaults.doSample ?? false)
  return {
    samples: wantsSampling || user.doSample === true || samplesByDefault,
    numBeams: user.numBeams ?? (isUsers ? 1 : (defaults.numBeams ?? 1)),
    isUsers,
  }
}

const SAMPLING = ['temperature', 'topK', 'topP', 'minP', 'seed'] as const
