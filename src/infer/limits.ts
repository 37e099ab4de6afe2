import { ConfigError } from '../base/errors.js'
import { formatBytes, formatCount } from '../base/format.js'
import type { ModelConfig } from '../model/config.js'
import type { MemorySizes } from './decode.js'
import { checkSetting } from './processors.js'
import type { Search } from './search.js'

/** What a scheduler takes on at most. A request that can never fit is refused, with its numbers. */
export interface SchedulerLimits {
  /** The most tokens of an input. Default: `defaultInputTokens`. */
  maxInputTokens: number
  /** The most tokens of an answer, EOS included. */
  maxNewTokens: number
  /** The most rows that are decoded at once. A search with more rows is decoded alone. */
  maxRows: number
  /** The most bytes of the decoder's memory. Requests wait until there is room for them. */
  maxMemoryBytes: number
}

/** The most rows of a scheduler that is not given a number. */
export const DEFAULT_ROWS = 64

/** The most bytes of a decoder's memory, for a scheduler that is not given a number. */
export const DEFAULT_MEMORY_BYTES = 2 ** 30

/** For a caller who decides himself what is decoded at once. */
export const UNLIMITED = { maxInputTokens: Infinity, maxRows: Infinity, maxMemoryBytes: Infinity } as const

/**
 * The longest input whose encoder layer takes at most 2 GiB: attention holds four arrays of [heads, length, length]
 * float32 at once (scores, biases, probabilities and a mask), which is most of what a long input needs.
 */
export const defaultInputTokens = ({ numHeads }: Pick<ModelConfig, 'numHeads'>): number =>
  Math.floor(Math.sqrt(2 ** 31 / (4 * 4 * numHeads)))

/** Throws a ConfigError if a request can never be decoded within the limits. `needed`: the largest memory it needs. */
export function checkRequest(
  { inputs, search }: { readonly inputs: readonly number[]; readonly search: Pick<Search, 'rows'> },
  needed: { readonly sizes: MemorySizes; readonly bytes: number },
  { maxInputTokens, maxMemoryBytes }: SchedulerLimits,
): void {
  checkSetting(
    'the rows of a search',
    search.rows,
    Number.isInteger(search.rows) && search.rows > 0,
    'a positive whole number',
  )
  if (inputs.length > maxInputTokens)
    throw new ConfigError(
      `the input has ${formatCount(inputs.length)} tokens, and at most ${formatCount(maxInputTokens)} (maxInputTokens) are read: shorten it`,
    )
  const { rows, inputLength, length } = needed.sizes
  if (needed.bytes > maxMemoryBytes)
    throw new ConfigError(
      `the request needs ${formatBytes(needed.bytes)} for keys and values (rows ${rows}, input tokens ${inputLength}, tokens of an answer ${length}), and ${formatBytes(maxMemoryBytes)} (maxMemoryBytes) may be used: ask for fewer beams or shorten the input`,
    )
}
