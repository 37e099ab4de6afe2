import type { Tensor } from '../engine/api/tensor.js'
import type { Noise } from '../nn/noise.js'
import { meaningOf } from './meaning.js'
import type { Meaning } from './meaning.js'
import type { StackName } from './config.js'
import type { ForwardOptions } from './types.js'

/** What the layers of one stack share in one forward pass. */
export interface Pass {
  stack: StackName
  /** The ids of the tokens, which some routers read. */
  tokenIds: Tensor // [batch, length], int32
  options: ForwardOptions
  meaning: Meaning
  noise: Noise
  dropoutRate: number
  /** Where positions are tokens and not padding. null: all positions are tokens. */
  nonPadding: Tensor | null // [batch, length], bool
  /** Where positions are routed to experts. null: all of them are. */
  routed: Tensor | null // [batch, length], bool
  /** Whether experts take every token, so that no token's output depends on another token. */
  dropless: boolean
}

/** The pass of one stack over a whole batch of tokens [batch, length]. */
export function newPass(
  stack: StackName,
  tokenIds: Tensor,
  options: ForwardOptions,
  noise: Noise,
  nonPadding: Tensor | null,
): Pass {
  const { config, mode } = options
  const meaning = meaningOf(options)
  return {
    stack,
    tokenIds,
    options,
    meaning,
    noise,
    nonPadding,
    routed: meaning.neverRoutesPadding || options.router.ignorePaddingTokens ? nonPadding : null,
    dropoutRate: mode === 'train' ? config.dropoutRate : 0,
    dropless: meaning.droplessEvaluation && mode === 'eval',
  }
}
