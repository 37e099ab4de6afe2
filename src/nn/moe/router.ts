import type { Tensor } from '../../engine/api/tensor.js'

/** The router's scores of every expert for every token, float32 [groups, tokens, experts]. */
export interface RouterScores {
  logits: Tensor // [groups, tokens, experts]
  probabilities: Tensor // [groups, tokens, experts]
}

/**
 * The experts that each token chose, and its position among each expert's tokens. A token has one or more choices.
 * `assignFixed` makes the assignment of one expert for each token.
 */
export type Assignment = {
  /** The expert of each choice, int32 [groups, tokens, choices]. */
  expert: Tensor // [groups, tokens, choices], int32
  /**
   * The choice's index among its group's choices of the same expert, from 0; -1 if the token is not routed. int32
   * [groups, tokens, choices].
   */
  position: Tensor // [groups, tokens, choices], int32
  /** Whether the token is routed and the expert has capacity for this choice, bool [groups, tokens, choices]. */
  kept: Tensor // [groups, tokens, choices], bool
  /** The factor of the expert's output in the token's sum, 0 if not kept, float32 [groups, tokens, choices]. */
  gate: Tensor // [groups, tokens, choices], float32
  /** 1 if the token chose the expert, kept or not; else 0. float32 [groups, tokens, experts]. */
  choice: Tensor // [groups, tokens, experts], float32
}

/** What a router may read besides the scores. */
export interface RoutingContext {
  /**
   * The id of each token, int32 [groups, tokens]; padding and added positions have 0. null if the caller does not know
   * them.
   */
  tokenIds: Tensor | null // [groups, tokens], int32
  /** A random key of this layer and step; null in evaluation. */
  key: Tensor | null
  /**
   * The share of a group's routed tokens that an expert takes where no fixed capacity applies. Only routers that
   * compare tokens read it.
   */
  capacityShare: number
}

/**
 * Assigns tokens to experts. The built-in routers are in routers/. A caller's own router is passed to `forward` as
 * `customRouter`.
 */
export interface Router {
  /** Names it in checkpoints and messages. */
  readonly name: string
  /**
   * Whether a token's experts depend on the other tokens of its group, even without a capacity. Such a router cannot
   * serve a decoder, which generates tokens one by one. In evaluation its groups are single sequences.
   */
  readonly comparesTokens?: boolean
  /** Whether the experts' load is balanced by design, so that the load-balancing loss is 0. */
  readonly isBalanced?: boolean
  /** Whether experts take every token that chose them, so that no capacity applies in training either. */
  readonly isDropless?: boolean
  /** Whether it draws random numbers in training. */
  readonly isRandom?: boolean
  /**
   * Routes the tokens where `mask` [groups, tokens] is true; null: all. An expert takes at most `capacity` choices of a
   * group; null: all of them. If experts choose tokens, every expert is a choice of every token, kept where the expert
   * took it.
   */
  assign(scores: RouterScores, mask: Tensor | null, capacity: number | null, context: RoutingContext): Assignment
}
