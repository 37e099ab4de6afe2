import { ConfigError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import type { MemorySizes } from './decode.js'
import { checkSetting } from './processors.js'
import type { Search } from './search.js'

/** The most that a scheduler accepts and decodes at once. A request that can never fit is refused, with its numbers. */
export interface SchedulerLimits {
  /** The most tokens of an input. */
  maxInputTokens: number
  /** The most tokens of an answer, EOS included. */
  maxNewTokens: number
  /** The most rows that are decoded at once. A search with more rows is decoded alone. */
  maxRows: number
  /**
   * The most bytes of the decoder's memory. Requests wait until there is room for them; one that needs more is decoded
   * alone.
   */
  maxMemoryBytes: number
  /**
   * Returns an error message if a task of so many bytes does not fit into the free memory, else undefined. Default: no
   * check of the free memory.
   */
  memoryProblem?(task: string, bytes: number): string | undefined
}

/** The most rows of a scheduler that is not given a number. */
export const DEFAULT_ROWS = 64

/** The most bytes of a decoder's memory, for a scheduler that is not given a number. */
export const DEFAULT_MEMORY_BYTES = 2 ** 30

/** No limits, for callers that bound what they ask for at once. */
export const UNLIMITED = { maxInputTokens: Infinity, maxRows: Infinity, maxMemoryBytes: Infinity } as const

/** The most tokens of a search's answers. */
export const mostTokens = (
  { maxNewTokens = Infinity }: Pick<Search, 'maxNewTokens'>,
  limits: Pick<SchedulerLimits, 'maxNewTokens'>,
): number => Math.min(maxNewTokens, limits.maxNewTokens)

/** The memory that a request needs when it is answered alone. */
export interface Needed {
  readonly sizes: MemorySizes
  /** The bytes of the decoder's memory. */
  readonly bytes: number
  /** The bytes that its encoding takes (see `attentionBytes`). */
  readonly encodingBytes: number
}

/** Throws a ConfigError if a request can never be decoded. */
export function checkRequest(
  { inputs, search }: { readonly inputs: readonly number[]; readonly search: Pick<Search, 'rows'> },
  { sizes, bytes, encodingBytes }: Needed,
  { maxInputTokens, memoryProblem }: SchedulerLimits,
): void {
  const { rows } = search
  checkSetting('the rows of a search', rows, Number.isInteger(rows) && rows > 0, 'a positive whole number')
  const tokens = formatCount(inputs.length)
  if (inputs.length > maxInputTokens)
    throw new ConfigError(
      `the input has ${tokens} tokens, and at most ${formatCount(maxInputTokens)} (maxInputTokens) are read: shorten it`,
    )
  const problem = memoryProblem?.(
    `an input of ${tokens} tokens with ${rows} ${rows === 1 ? 'row' : 'beams'} of at most ${formatCount(sizes.length)} tokens`,
    bytes + encodingBytes,
  )
  if (problem !== undefined) throw new ConfigError(problem)
}
