/**
 * Rules of which tokens may be sampled, besides those of processors.ts. Each computes what transformers 5 does, whose
 * `min_tokens_to_keep` is `keep` here.
 */
import { checkSetting, leaveAbove, logSumExp, softmax } from './processors.js'
import type { ScoreProcessor } from './processors.js'

const isShare = (name: string, value: number): void =>
  checkSetting(name, value, value > 0 && value < 1, 'greater than 0 and less than 1')

/**
 * Leaves only tokens possible whose information is nearest to its mean, until their probabilities add up to `mass`
 * (Meister et al. 2022, "Locally Typical Sampling"), and at least `keep` tokens.
 */
export function typicalP(mass: number, keep = 1): ScoreProcessor {
  isShare('typicalP', mass)
  return scores => {
    const total = logSumExp(scores)
    const probabilities = softmax(scores)
    const information = Float64Array.from(scores, score => total - score)
    const entropy = entropyOf(probabilities)
    const distance = information.map(bits => Math.abs(bits - entropy))
    const order = Uint32Array.from(scores, (_, i) => i).sort((a, b) => distance[a] - distance[b] || a - b)
    let sum = 0
    let last = 0
    while (last < order.length - 1 && (sum += probabilities[order[last]]) < mass) last++
    const most = distance[order[last]]
    order.forEach((id, rank) => {
      if (rank >= keep && distance[id] > most) scores[id] = -Infinity
    })
  }
}

/** Leaves only tokens possible whose probability is `epsilon` or more, and the `keep` most probable ones. */
export function epsilonCutoff(epsilon: number, keep = 1): ScoreProcessor {
  isShare('epsilonCutoff', epsilon)
  return scores => leaveAbove(scores, softmax(scores), epsilon, keep)
}

/**
 * Leaves only tokens possible whose probability is at least the lesser of `epsilon` and sqrt(epsilon) exp(-entropy),
 * and the `keep` most probable ones (Hewitt et al. 2022, "Truncation Sampling as Language Model Desmoothing").
 */
export function etaCutoff(epsilon: number, keep = 1): ScoreProcessor {
  isShare('etaCutoff', epsilon)
  return scores => {
    const probabilities = softmax(scores)
    const least = Math.min(epsilon, Math.sqrt(epsilon) * Math.exp(-entropyOf(probabilities)))
    leaveAbove(scores, probabilities, least, keep)
  }
}

/** topH considers at most this many tokens. */
const MOST_TOKENS = 100

/**
 * Leaves only the most probable tokens possible whose terms of the entropy add up to at most `share` of it, and the
 * most probable one (top-h sampling).
 */
export function topH(share: number): ScoreProcessor {
  checkSetting('topH', share, share > 0 && share <= 1, 'greater than 0 and at most 1')
  return scores => {
    const order = Uint32Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b)
    const probabilities = softmax(Float32Array.from(order.subarray(0, MOST_TOKENS), id => scores[id]))
    const limit = share * entropyOf(probabilities)
    let sum = 0
    order.forEach((id, rank) => {
      if (rank < probabilities.length) sum += informationOf(probabilities[rank])
      if (rank > 0 && (rank >= probabilities.length || sum > limit)) scores[id] = -Infinity
    })
  }
}

/** A probability's term of the entropy, in nats. */
const informationOf = (probability: number): number => (probability > 0 ? -probability * Math.log(probability) : 0)

const entropyOf = (probabilities: Float64Array): number => probabilities.reduce((sum, p) => sum + informationOf(p), 0)
