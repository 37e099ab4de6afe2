import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'

/** The router's float32 scores of every expert for every token. */
export interface RouterScores {
  logits: Tensor // [groups, tokens, experts]
  probabilities: Tensor // [groups, tokens, experts]
}

/** Which experts each token goes to, and where in their buffers it stands. A token has one choice or several. */
export type Assignment = {
  expert: Tensor // [groups, tokens, choices], int32
  /** The choice's place among its group's choices of the same expert, from 0; -1 where it is left out. */
  position: Tensor // [groups, tokens, choices], int32
  /** Whether the choice is not left out and there is room for it. */
  kept: Tensor // [groups, tokens, choices], bool
  /** What the expert's output is multiplied by before the token's outputs are added up; 0 where not kept. */
  gate: Tensor // [groups, tokens, choices], float32
  /** 1 where a token chose an expert, whether kept or not. */
  choice: Tensor // [groups, tokens, experts], float32
}

/** How tokens and experts find each other: the seam for other kinds of routing. */
export interface Router {
  /** Names it in checkpoints and messages. */
  readonly name: string
  /**
   * Only tokens where `mask` [groups, tokens] holds take part (null: all). An expert takes at most `capacity` choices of a
   * group (null: all that come). Where experts choose tokens, a token has as many choices as there are experts, and those count that were taken.
   */
  assign(scores: RouterScores, mask: Tensor | null, capacity: number | null): Assignment
}

/**
 * Each token goes to its most probable expert, in order, until the expert's buffer is full (Fedus et al. 2021, "Switch
 * Transformers", section 2.1). The gate is the probability itself (equation 2), so that the router gets a gradient.
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
