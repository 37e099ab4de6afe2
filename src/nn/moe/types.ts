import type { Tensor } from '../../engine/api/tensor.js'

/** What a sparse layer did with its tokens. Groups, tokens and padding: see groups.ts. */
export type RouterRecord = {
  /** Router logits and probabilities, float32. Probabilities of tokens that are left out are 0. */
  logits: Tensor // [groups, tokens, experts]
  probabilities: Tensor // [groups, tokens, experts]
  /** The experts that each token chose, its place in their buffers, and whether there was room for it. */
  expert: Tensor // [groups, tokens, choices]
  position: Tensor // [groups, tokens, choices]
  kept: Tensor // [groups, tokens, choices]
  /** What the expert's output is multiplied by; 0 where dropped. */
  gate: Tensor // [groups, tokens, choices]
  /** Share of each group's tokens that chose each expert, before capacity (f), and mean probability (P). */
  fraction: Tensor // [groups, experts]
  meanProbability: Tensor // [groups, experts]
  auxLoss: Tensor // []
  zLoss: Tensor // []
  statistics: RouterStatistics
  /** The layer's output, before its residual, float32. */
  output: Tensor // [batch, length, dModel]
}

/** How a router did in one pass, over the tokens that count. Scalars, float32, unless said. */
export type RouterStatistics = {
  /** Share of the tokens that no expert had room for. */
  shareDropped: Tensor
  /** Share of the tokens' choices that went to each expert. */
  load: Tensor // [experts]
  /** The number of experts that no token chose. */
  deadExperts: Tensor
  /** Mean entropy of the router's probabilities, in nats. */
  entropy: Tensor
  /** Mean gate, over the choices that were kept. */
  confidence: Tensor
  /** Share of the experts' slots that were filled; 1 where there are no fixed slots. */
  expertUsage: Tensor
}
