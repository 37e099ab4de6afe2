import type { Array } from '../../engine/api/array.js'

/** What a sparse layer did with its tokens. Groups, tokens and padding: see groups.ts. */
export type RouterRecord = {
  /** Router logits and probabilities, float32. Probabilities of tokens that are left out are 0. */
  logits: Array // [groups, tokens, experts]
  probabilities: Array // [groups, tokens, experts]
  /** The experts that each token chose, its place in their buffers, and whether there was room for it. */
  expert: Array // [groups, tokens, choices]
  position: Array // [groups, tokens, choices]
  kept: Array // [groups, tokens, choices]
  /** What the expert's output is multiplied by; 0 where dropped. */
  gate: Array // [groups, tokens, choices]
  /** Share of each group's tokens that chose each expert, before capacity (f), and mean probability (P). */
  fraction: Array // [groups, experts]
  meanProbability: Array // [groups, experts]
  auxLoss: Array // []
  zLoss: Array // []
  statistics: RouterStatistics
  /** The layer's output, before its residual, float32. */
  output: Array // [batch, length, dModel]
}

/** How a router did in one pass, over the tokens that count. Scalars, float32, unless said. */
export type RouterStatistics = {
  /** Share of the tokens that no expert had room for. */
  shareDropped: Array
  /** Share of the tokens' choices that went to each expert. */
  load: Array // [experts]
  /** The number of experts that no token chose. */
  deadExperts: Array
  /** Mean entropy of the router's probabilities, in nats. */
  entropy: Array
  /** Mean gate, over the choices that were kept. */
  confidence: Array
  /** Share of the experts' slots that were filled; 1 where there are no fixed slots. */
  expertUsage: Array
}
