import { ConfigError } from '../base/errors.js'
import { T5_SPECIAL_IDS } from '../base/special-ids.js'
import type { SpecialIds } from '../base/special-ids.js'
import { repeating } from './repeating.js'

/**
 * Changes the scores [vocab] of a row's next token in place, before a token is chosen. -Infinity makes a token
 * impossible. Scores are logits; in beam search they are log-probabilities. `tokens` are the row's tokens so far, the
 * start token first.
 */
export interface ScoreProcessor {
  (scores: Float32Array, tokens: readonly number[]): void
  /**
   * The ids that it makes impossible after `tokens`, if that is all it does there; null: it does more. With it, greedy
   * search does not need the scores of all tokens.
   */
  bans?(tokens: readonly number[]): readonly number[] | null
}

/** A processor that makes tokens impossible, and does nothing else. */
export const banning = (bans: (tokens: readonly number[]) => readonly number[]): ScoreProcessor => {
  const process = (scores: Float32Array, tokens: readonly number[]): void => {
    for (const id of bans(tokens)) scores[id] = -Infinity
  }
  return Object.assign(process, { bans })
}

/** Throws a ConfigError unless `holds` is true: `topK must be a positive whole number, not 0`. */
export function checkSetting(name: string, value: number, holds: boolean, must: string): void {
  if (!holds) throw new ConfigError(`${name} must be ${must}, not ${value}`)
}

/** Every EOS is impossible before there are `count` tokens. `eosIds` are T5's by default. */
export const minNewTokens = (count: number, eosIds: readonly number[] = T5_SPECIAL_IDS.eosIds): ScoreProcessor =>
  banning(tokens => (tokens.length - 1 < count ? eosIds : []))

/**
 * Makes tokens that the row has already less probable: divides their scores by `penalty`, or multiplies them if they
 * are negative (Keskar et al. 2019, "CTRL", section 4.1).
 */
export function repetitionPenalty(penalty: number): ScoreProcessor {
  checkSetting('repetitionPenalty', penalty, penalty > 0, 'greater than 0')
  return (scores, tokens) => {
    for (const token of new Set(tokens))
      scores[token] = scores[token] < 0 ? scores[token] * penalty : scores[token] / penalty
  }
}

/** Makes every token impossible that would repeat a sequence of `size` tokens of the row. */
export function noRepeatNgram(size: number): ScoreProcessor {
  checkSetting('noRepeatNgram', size, Number.isInteger(size) && size > 0, 'a positive whole number')
  return banning(tokens => repeating(tokens, size, tokens))
}

/**
 * Bans sequences of tokens: where the tokens of a sequence before its last one end the answer so far, its last token is
 * impossible. With `countStart`, the start token may begin a sequence, as it may for transformers' `bad_words_ids`.
 */
export const banTokens = (sequences: readonly (readonly number[])[], { countStart = false } = {}): ScoreProcessor =>
  banning(tokens =>
    sequences.flatMap(sequence => {
      const before = sequence.length - 1
      const at = tokens.length - before
      const isPossible = before >= 0 && at >= (countStart ? 0 : 1)
      return isPossible && sequence.slice(0, before).every((token, i) => tokens[at + i] === token)
        ? sequence[before]
        : []
    }),
  )

/** The answer begins with these tokens. */
export const forceTokens =
  (first: readonly number[]): ScoreProcessor =>
  (scores, tokens) => {
    const forced = first[tokens.length - 1]
    if (forced !== undefined) leaveOnly(scores, [forced])
  }

/** The answer's token number `place`, from 1, is one of these. */
export const forceOneOf = (ids: readonly number[], place: number): ScoreProcessor => {
  const force = (scores: Float32Array, tokens: readonly number[]): void => {
    if (tokens.length === place) leaveOnly(scores, ids)
  }
  return Object.assign(force, { bans: (tokens: readonly number[]) => (tokens.length === place ? null : []) })
}

/** Makes some tokens equally probable, and every other token impossible. */
function leaveOnly(scores: Float32Array, ids: readonly number[]): void {
  scores.fill(-Infinity)
  for (const id of ids) scores[id] = 0
}

/** The processors that hold the first token, and the last of the longest answers, to those that the model forces. */
export const forcedBy = (
  { forcedFirstIds, forcedLastIds }: SpecialIds,
  maxNewTokens: number,
): readonly ScoreProcessor[] => [
  ...(forcedFirstIds === undefined ? [] : [forceOneOf(forcedFirstIds, 1)]),
  ...(forcedLastIds === undefined ? [] : [forceOneOf(forcedLastIds, maxNewTokens)]),
]

/**
 * Divides scores by `value`. Below 1, probable tokens become more probable; above 1, the distribution becomes flatter.
 */
export function temperature(value: number): ScoreProcessor {
  checkSetting('temperature', value, value > 0 && Number.isFinite(value), 'greater than 0')
  return scores => {
    for (let i = 0; i < scores.length; i++) scores[i] /= value
  }
}

/** Leaves only the k most probable tokens possible, and those that tie with the last of them. */
export function topK(k: number): ScoreProcessor {
  checkSetting('topK', k, Number.isInteger(k) && k > 0, 'a positive whole number')
  return scores => {
    if (k >= scores.length) return
    const least = bestScore(scores, k)
    for (let i = 0; i < scores.length; i++) if (scores[i] < least) scores[i] = -Infinity
  }
}

/**
 * Leaves only the most probable tokens whose probabilities add up to at least `p` possible (Holtzman et al. 2020,
 * "nucleus sampling"), and at least `keep` tokens.
 */
export function topP(p: number, keep = 1): ScoreProcessor {
  checkSetting('topP', p, p >= 0 && p <= 1, 'from 0 to 1')
  return scores => {
    const probabilities = softmax(scores)
    // Tokens below this share add up to half of 1 - p at most: the tokens above it are enough, and few to sort.
    const least = (1 - p) / (2 * scores.length)
    const above = (share: number): number[] => {
      const ids: number[] = []
      for (let id = 0; id < scores.length; id++) if (probabilities[id] >= share) ids.push(id)
      return ids
    }
    const probable = above(least)
    const order = probable.length >= keep ? probable : above(0)
    order.sort((a, b) => scores[b] - scores[a] || a - b)
    let [count, sum] = [0, 0]
    while (count < order.length && (count < keep || sum < p)) sum += probabilities[order[count++]]
    const kept = order.slice(0, count).map(id => [id, scores[id]] as const)
    scores.fill(-Infinity)
    for (const [id, score] of kept) scores[id] = score
  }
}

/**
 * Leaves only tokens possible that are at least `p` times as probable as the most probable one (Nguyen et al. 2024,
 * "min-p sampling"), and the `keep` most probable ones.
 */
export function minP(p: number, keep = 1): ScoreProcessor {
  checkSetting('minP', p, p >= 0 && p <= 1, 'from 0 to 1')
  return scores => {
    // In float32, as transformers compares: at the edge, rounding decides.
    const probabilities = Float32Array.from(softmax(scores))
    leaveAbove(scores, probabilities, Math.fround(Math.fround(p) * maximum(probabilities)), keep)
  }
}

/** Leaves only tokens possible whose probability is `least` or more, and the `keep` most probable ones. */
export function leaveAbove(scores: Float32Array, probabilities: ArrayLike<number>, least: number, keep: number): void {
  const kept = bestScore(scores, keep)
  for (let i = 0; i < scores.length; i++) if (probabilities[i] < least && scores[i] < kept) scores[i] = -Infinity
}

/** The score that `place` tokens reach or exceed: 1 is the highest one. */
const bestScore = (scores: Float32Array, place: number): number =>
  place === 1 ? maximum(scores) : scores.slice().sort()[Math.max(0, scores.length - place)]

/** exp(x) / sum(exp(x)). */
export function softmax(scores: Float32Array): Float64Array {
  // Loops without closures: for a large vocabulary, they take a third of the time.
  const top = maximum(scores)
  const result = new Float64Array(scores.length)
  let sum = 0
  for (let i = 0; i < result.length; i++) sum += result[i] = Math.exp(scores[i] - top)
  for (let i = 0; i < result.length; i++) result[i] /= sum
  return result
}

/** log(sum(exp(scores))). */
export function logSumExp(scores: Float32Array): number {
  const top = maximum(scores)
  let sum = 0
  for (const score of scores) sum += Math.exp(score - top)
  return top + Math.log(sum)
}

export function maximum(scores: Float32Array): number {
  let top = -Infinity
  for (const score of scores) if (score > top) top = score
  return top
}
