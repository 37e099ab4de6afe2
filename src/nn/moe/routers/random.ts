import * as np from '../../../engine/api/np.js'
import * as random from '../../../engine/api/random.js'
import { check } from '../../../base/errors.js'
import type { Router } from '../router.js'
import { hashedExpert } from './hash.js'
import { assignFixed } from './positions.js'

/**
 * In training every token goes to a random expert, drawn again in each step: the baseline that a learned router has to
 * beat (as the stochastic experts of Zuo et al. 2022, "Taming Sparsely Activated Transformer with Stochastic Experts",
 * section 3). In evaluation, where an answer must not depend on chance, the token's id decides. The gate is 1.
 */
export const randomTokens: Router = {
  name: 'random',
  isBalanced: true,
  isRandom: true,
  assign({ probabilities }, mask, capacity, { key, tokenIds }) {
    const [groups, tokens, experts] = probabilities.shape
    check(
      key !== null || tokenIds !== null,
      'the random router needs a random key, or, in evaluation, the ids of the tokens: pass them with moeLayer, or use forward',
    )
    const expert = key ? random.randint(key, [groups, tokens], 0, experts) : hashedExpert(tokenIds!, experts) // [groups, tokens]
    return assignFixed(np.astype(expert, 'int32'), experts, mask, capacity)
  },
}
