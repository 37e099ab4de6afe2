import { T5_SPECIAL_IDS } from '../base/special-ids.js'
import type { TokenExperts } from './expert-choices.js'
import { checkSetting, logSumExp } from './processors.js'
import { randomStream } from './random-stream.js'
import { checkOptions, nothingPossible } from './search.js'
import type { Answer, NextTokens, Search, SearchOptions, StepExperts } from './search.js'
import { topTokens } from './top-tokens.js'
import type { ScoredId } from './top-tokens.js'

export interface BeamOptions extends SearchOptions {
  numBeams: number
  /** How many answers are returned. Default: 1. */
  numReturned?: number
  /** Scores are divided by length ** lengthPenalty; values above 0 favour long answers. Default: 1. */
  lengthPenalty?: number
  /**
   * When the search stops, once there are numBeams answers. `true`: at once. `false` (the default): when the best
   * beam's score at its current length is no better than the worst answer's. 'never': when no beam could become better
   * at any length.
   */
  earlyStopping?: boolean | 'never'
  /** Draws the continuations of each step at random, with this seed. Default: it takes the best ones. */
  sampleSeed?: number
}

/** A partial answer. */
interface Beam {
  /** The start token first, then the prefix. */
  tokens: number[]
  /** The model's log-probability of each token after the prefix. */
  logProbabilities: number[]
  /** The most probable tokens at the place of each token after the prefix; empty if not requested. */
  top: (readonly ScoredId[])[]
  /** The sum of the log-probabilities after the processors changed them. */
  sum: number
  /** The experts that each token after the prefix met, but for the last; empty if not requested. */
  experts: TokenExperts[]
}
/** A token that may follow a beam. The continuations of the highest ranks are taken. */
interface Continuation {
  parent: number
  token: number
  sum: number
  rank: number
}
interface Finished {
  beam: Beam
  score: number
}

/**
 * Beam search as in Hugging Face transformers 5 (`_beam_search`). Each step takes the best continuations of all
 * beams, twice as many as beams or more. Those of the first numBeams that end become answers; the best numBeams that
 * do not end become the next beams.
 *
 * With `sampleSeed` (`num_beams` with `do_sample`), each step draws as many continuations instead, without replacement,
 * by the softmax of their sums of log-probabilities. Of those that end, the ones among the first numBeams drawn become
 * answers.
 */
export function beamSearch(options: BeamOptions): Search {
  checkOptions(options)
  const { numBeams, numReturned = 1 } = options
  checkSetting('numBeams', numBeams, Number.isInteger(numBeams) && numBeams > 0, 'a positive whole number')
  checkSetting(
    'numReturned',
    numReturned,
    Number.isInteger(numReturned) && numReturned > 0 && numReturned <= numBeams,
    `a whole number from 1 to numBeams (${numBeams})`,
  )
  return new BeamSearch(options)
}

class BeamSearch implements Search {
  readonly rows: number
  readonly maxNewTokens: number
  private readonly prefix: readonly number[]
  private beams: Beam[]
  /** Best first, at most numBeams. */
  private finished: Finished[] = []
  private readonly random: (() => number) | null
  /** Log-probabilities of a beam's next tokens, which processors change. Its memory is used again for each beam. */
  private scores: Float32Array | null = null

  constructor(private readonly options: BeamOptions) {
    this.random = options.sampleSeed === undefined ? null : randomStream(options.sampleSeed)
    this.rows = options.numBeams
    this.prefix = options.prefix ?? []
    this.maxNewTokens = this.prefix.length + options.maxNewTokens
    const { decoderStartId } = options.specialIds ?? T5_SPECIAL_IDS
    this.beams = [{ tokens: [decoderStartId], logProbabilities: [], top: [], sum: 0, experts: [] }]
  }

  next(logits: Float32Array, experts?: StepExperts): NextTokens | null {
    const { numBeams, maxNewTokens, stop, specialIds = T5_SPECIAL_IDS } = this.options
    const made = this.beams[0].tokens.length - this.prefix.length // tokens of an answer after this step
    if (made <= 0) return this.force(this.prefix[this.prefix.length - 1 + made])
    const { best, raw, top } = this.bestContinuations(logits, logits.length / this.rows)
    if (this.options.experts && made > 1)
      this.beams.forEach((beam, row) => (beam.experts = [...beam.experts, experts?.(row) ?? []]))
    const goingOn: { beam: Beam; parent: number }[] = []
    best.forEach(({ parent, token, sum }, rank) => {
      const { tokens, logProbabilities } = this.beams[parent]
      const beam: Beam = {
        tokens: [...tokens, token],
        logProbabilities: [...logProbabilities, raw(parent, token)],
        top: [...this.beams[parent].top, ...top(parent)],
        sum,
        experts: this.beams[parent].experts,
      }
      const ends = specialIds.eosIds.includes(token) || made === maxNewTokens || stop?.(beam.tokens.slice(1))
      if (!ends) goingOn.push({ beam, parent })
      else if (rank < numBeams) this.finish(beam, made)
    })
    if (best.length === 0 && this.finished.length === 0) throw nothingPossible(made - 1)
    // Drawn continuations are in the order of drawing.
    const going = goingOn.sort((a, b) => b.beam.sum - a.beam.sum).slice(0, numBeams)
    if (going.length === 0 || !this.mayImprove(going[0].beam, made)) return null
    this.beams = going.map(g => g.beam)
    const row = (i: number): number => Math.min(i, going.length - 1)
    const rows = Array.from({ length: numBeams }, (_, i) => going[row(i)])
    return { tokens: rows.map(({ beam }) => beam.tokens.at(-1)!), parents: rows.map(({ parent }) => parent) }
  }

  /** Appends a token of the prefix. There is one beam as yet, so all rows are the same. */
  private force(token: number): NextTokens | null {
    const [{ tokens }] = this.beams
    tokens.push(token)
    const isOver = tokens.length - 1 === this.maxNewTokens
    return isOver ? null : { tokens: new Array<number>(this.rows).fill(token), parents: null }
  }

  /**
   * The best continuations of all beams, best first. There are numBeams for each EOS and numBeams more, at least `2 *
   * numBeams`, so that enough of them go on. Also the model's own log-probability of a token, and its most probable
   * tokens after a beam, if they are requested.
   */
  private bestContinuations(
    logits: Float32Array,
    vocab: number,
  ): {
    best: Continuation[]
    raw: (parent: number, token: number) => number
    top: (parent: number) => (readonly ScoredId[])[]
  } {
    const { numBeams, topTokens: numTop = 0, specialIds = T5_SPECIAL_IDS } = this.options
    const tops: (readonly ScoredId[])[] = []
    const count = Math.max(2, 1 + specialIds.eosIds.length) * numBeams
    const best: Continuation[] = []
    const normalizers: number[] = []
    this.beams.forEach(({ tokens, sum: before }, parent) => {
      const row = logits.subarray(parent * vocab, (parent + 1) * vocab)
      const normalizer = (normalizers[parent] = logSumExp(row))
      if (numTop > 0) tops[parent] = topTokens(row, numTop, normalizer)
      const scores = (this.scores ??= new Float32Array(vocab))
      for (let token = 0; token < vocab; token++) scores[token] = row[token] - normalizer
      for (const process of this.options.processors ?? []) process(scores, tokens)
      // What a continuation must exceed.
      let least = best.length === count ? best[count - 1].rank : -Infinity
      for (let token = 0; token < vocab; token++) {
        const sum = before + scores[token]
        if (sum === -Infinity) continue
        const rank = this.random ? sum + gumbel(this.random()) : sum
        if (best.length === count && rank <= least) continue
        let at = best.length
        while (at > 0 && best[at - 1].rank < rank) at--
        best.splice(at, 0, { parent, token, sum, rank })
        if (best.length > count) best.pop()
        least = best[best.length - 1].rank
      }
    })
    return {
      best,
      raw: (parent, token) => logits[parent * vocab + token] - normalizers[parent],
      top: parent => tops.slice(parent, parent + 1),
    }
  }

  private finish(beam: Beam, length: number): void {
    const { numBeams, lengthPenalty = 1 } = this.options
    const score = beam.sum / length ** lengthPenalty
    let at = this.finished.length
    while (at > 0 && this.finished[at - 1].score < score) at--
    this.finished.splice(at, 0, { beam, score })
    if (this.finished.length > numBeams) this.finished.pop()
  }

  /** Whether a beam could still become one of the answers, by the rule of `earlyStopping`. */
  private mayImprove(best: Beam, made: number): boolean {
    const { numBeams, maxNewTokens, lengthPenalty = 1, earlyStopping = false } = this.options
    if (this.finished.length < numBeams) return true
    if (earlyStopping === true) return false
    const length = earlyStopping === 'never' && lengthPenalty > 0 ? maxNewTokens : made
    return best.sum / length ** lengthPenalty > this.finished[numBeams - 1].score
  }

  answers(): Answer[] {
    // The search was ended early, or the processors left no possible token: the unfinished beams are the answers.
    if (this.finished.length === 0)
      for (const beam of this.beams) this.finish(beam, Math.max(beam.logProbabilities.length, 1))
    return this.finished
      .slice(0, this.options.numReturned ?? 1)
      .map(({ beam: { tokens, logProbabilities, top, experts }, score }) => ({
        tokens: tokens.slice(1 + this.prefix.length),
        score,
        logProbabilities,
        ...(this.options.topTokens !== undefined && { top }),
        ...(this.options.experts && { experts }),
      }))
  }
}

/**
 * A number of the Gumbel distribution. The k largest sums of log-probabilities and such numbers are a draw of k without
 * replacement, in its order (Kool et al. 2019, "Stochastic Beams and Where to Find Them", section 2.3).
 */
const gumbel = (uniform: number): number => -Math.log(-Math.log(uniform || Number.MIN_VALUE))
