/** Processors that a model's generation_config.json can ask for. Each computes what transformers 5 does. */
import type { SequenceBias } from '../model/generation-kinds.js'
import { banning, checkSetting, logSumExp } from './processors.js'
import type { ScoreProcessor } from './processors.js'
import { repeating } from './repeating.js'

/** Adds a bias to the score of a sequence's last token where its other tokens end the row. */
export const biasSequences =
  (biases: readonly SequenceBias[]): ScoreProcessor =>
  (scores, tokens) => {
    for (const { ids, bias } of biases) {
      const before = ids.length - 1
      const at = tokens.length - before
      if (at >= 0 && ids.slice(0, before).every((id, i) => tokens[at + i] === id)) scores[ids[before]] += bias
    }
  }

/** Makes the tokens of the input more probable: the inverse of a repetition penalty. */
export function inputRepetitionPenalty(penalty: number, input: readonly number[]): ScoreProcessor {
  checkSetting('inputRepetitionPenalty', penalty, penalty > 0, 'greater than 0')
  const ids = new Set(input)
  return scores => {
    for (const id of ids) scores[id] = scores[id] < 0 ? scores[id] / penalty : scores[id] * penalty
  }
}

/** Makes every token impossible that would repeat a sequence of `size` tokens of the input. */
export const inputNoRepeatNgram = (size: number, input: readonly number[]): ScoreProcessor =>
  banning(tokens => repeating(input, size, tokens))

/** Makes tokens impossible. */
export const suppressTokens = (ids: readonly number[]): ScoreProcessor => banning(() => ids)

/** Makes tokens impossible as the token after the first `made` ones. */
export const suppressTokensAt = (ids: readonly number[], made: number): ScoreProcessor =>
  banning(tokens => (tokens.length - 1 === made ? ids : []))

/**
 * After the first `start` tokens, adds to the score s of each EOS |s| (factor^n - 1), for the n-th token more. A factor
 * above 1 makes answers shorter.
 */
export const lengthDecay =
  (start: number, factor: number, eosIds: readonly number[]): ScoreProcessor =>
  (scores, tokens) => {
    const more = tokens.length - 1 - start
    if (more <= 0) return
    for (const id of eosIds) if (Number.isFinite(scores[id])) scores[id] += Math.abs(scores[id]) * (factor ** more - 1)
  }

/** Makes scores log-probabilities. */
export const normalizeScores: ScoreProcessor = scores => {
  const total = logSumExp(scores)
  for (let i = 0; i < scores.length; i++) scores[i] -= total
}
