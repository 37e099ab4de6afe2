import type { Tensor } from '../../engine/api/tensor.js'

/** How one sparse layer routed its tokens, and its output. groups.ts defines the groups. */
export type RouterRecord = {
  /** The router's float32 scores; 0 for tokens that are not routed. */
  logits: Tensor // [groups, tokens, experts]
  probabilities: Tensor // [groups, tokens, experts]
  /** Each token's choices: see `Assignment` in router.ts. */
  expert: Tensor // [groups, tokens, choices]
  position: Tensor // [groups, tokens, choices]
  kept: Tensor // [groups, tokens, choices]
  gate: Tensor // [groups, tokens, choices]
  /** The share f of a group's tokens that chose each expert, kept or not, and the expert's mean probability P. */
  fraction: Tensor // [groups, experts]
  meanProbability: Tensor // [groups, experts]
  auxLoss: Tensor // []
  zLoss: Tensor // []
  statistics: RouterStatistics
  /** The layer's output, before its residual, float32. */
  output: Tensor // [batch, length, dModel]
}

/** Statistics of one router in one pass, over the routed tokens. float32 scalars unless a shape is given. */
export type RouterStatistics = {
  /** Share of the tokens that no expert took. */
  shareDropped: Tensor
  /** Share of the tokens' choices that went to each expert. */
  load: Tensor // [experts]
  /** The number of experts that no token chose. */
  deadExperts: Tensor
  /** Mean entropy of the router's probabilities, in nats. */
  entropy: Tensor
  /** Mean gate over the kept choices. */
  confidence: Tensor
  /** Share of the experts' slots that were filled; 1 if there are no fixed slots. */
  expertUsage: Tensor
}
