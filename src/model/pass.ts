import type { Tensor } from '../engine/api/tensor.js'
import type { Noise } from '../nn/noise.js'
import type { ForwardOptions } from './types.js'

/** What the layers of one stack share in one pass. */
export interface Pass {
  options: ForwardOptions
  noise: Noise
  dropoutRate: number
  /** The tokens that are no padding; null: all. */
  tokens: Tensor | null // [batch, length]
  /** Whether experts take all tokens that come, so that no token depends on another one. */
  dropless: boolean
}
