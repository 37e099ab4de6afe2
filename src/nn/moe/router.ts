import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'

/** The router's float32 scores of every expert for every token. */
export interface RouterScores {
  logits: Tensor // [groups, tokens, experts]
  probabilities: Tensor // [groups, tokens, experts]
}

/** The experts that each token chose, and its position among each expert's tokens. A token has one or more choices. */
export type Assignment = {
  expert: Tensor // [groups, tokens, choices], int32
  /** The choice's index among its group's choices of the same expert, from 0; -1 if the token is not routed. */
  position: Tensor // [groups, tokens, choices], int32
  /** Whether the token is routed and the expert has capacity for this choice. */
  kept: Tensor // [groups, tokens, choices], bool
  /** The factor of the expert's output in the token's sum over choices; 0 if not kept. */
  gate: Tensor // [groups, tokens, choices], float32
  /** 1 if the token chose the expert, kept or not; else 0. */
  choice: Tensor // [groups, tokens, experts], float32
}

/** Assigns tokens to experts. A caller's own router is passed to `forward` as `customRouter`. */
export interface Router {
  /** Names it in checkpoints and messages. */
  readonly name: string
  /**
   * Routes the tokens where `mask` [groups, tokens] is true; null: all. An expert takes at most `capacity` choices of a
   * group; null: all of them. If experts choose tokens, every expert is a choice of every token, kept where the expert
   * took it.
   */
  assign(scores: RouterScores, mask: Tensor | null, capacity: number | null): Assignment
}

/**
 * Each token chooses its most probable expert, which takes tokens in their order up to its capacity (Fedus et al. 2021,
 * "Switch Transformers", section 2.1). The gate is the probability (equation 2), through which the router gets a
 * gradient.
 */
export const tokensChooseTop1: Router = {
  name: 'tokensChoose',
  assign({ probabilities }, mask, capacity) {
    const numExperts = probabilities.shape[2]
    const expert = np.argmax(probabilities) // [groups, tokens]
    const chosen = np.oneHot(expert, numExperts, { dtype: 'int32' }) // [groups, tokens, experts]
    const counted = mask ? np.where(np.expandDims(mask, 2), chosen, 0) : chosen // [groups, tokens, experts]
    const position = np.subtract(np.sum(np.multiply(np.cumsum(counted, 1), counted), { axis: 2 }), 1) // [groups, tokens]
    const present = mask ?? np.ones(expert.shape, 'bool') // [groups, tokens]
    const kept = capacity === null ? present : np.logicalAnd(present, np.less(position, capacity)) // [groups, tokens]
    const choice = np.astype(counted, 'float32') // [groups, tokens, experts]
    const gate = np.where(kept, np.sum(np.multiply(probabilities, choice), { axis: 2 }), 0) // [groups, tokens]
    const only = (x: Tensor): Tensor => np.expandDims(x, 2) // [groups, tokens, 1]
    return { expert: only(expert), position: only(position), kept: only(kept), gate: only(gate), choice }
  },
}

/** The routers that a configuration can name. */
export const routers = { tokensChoose: tokensChooseTop1 } satisfies Record<string, Router>

/** The name of a router. */
export type RouterKind = keyof typeof routers
