import { mix32 } from '../base/hash.js'
import { EOS_ID, PAD_ID } from '../text/vocabulary.js'
import { checkSetting, logSumExp, softmax } from './processors.js'
import type { ScoreProcessor } from './processors.js'

/** T5 has no token for the beginning: decoding starts from padding. */
export const START_ID = PAD_ID

/** What the rows of one input go on with. */
export interface NextTokens {
  /** A token for each row. */
  readonly tokens: readonly number[]
  /** The row whose past each row goes on from; null: each from its own. */
  readonly parents: readonly number[] | null
}

export interface Answer {
  /** Up to and with EOS, if it came. */
  readonly tokens: readonly number[]
  /** The sum of the tokens' log-probabilities; in beam search divided by a power of their number. NaN where it was not asked for. */
  readonly score: number
  /** Of each token, from the model's scores before they were changed. Empty where they were not asked for. */
  readonly logProbabilities: readonly number[]
}

/** The search for the answers to one input: the seam for ways to choose tokens. */
export interface Search {
  /** How many rows of the batch it needs. */
  readonly rows: number
  /** Reads the logits [rows * vocab] of each row's next token (they must not be changed). null: it is over. */
  next(logits: Float32Array): NextTokens | null
  /** What there is so far, the best first. */
  answers(): readonly Answer[]
}

/** What all kinds of search share. */
export interface SearchOptions {
  /** How many tokens are made at most, EOS among them. */
  maxNewTokens: number
  processors?: readonly ScoreProcessor[]
  /** Whether an answer (without the start token) is complete, besides by EOS. */
  stop?: (tokens: readonly number[]) => boolean
}

export interface ChoiceOptions extends SearchOptions {
  /** Whether answers have log-probabilities and scores. They cost a pass over the vocabulary each. */
  logProbabilities?: boolean
}

/** The most probable token each time; the first one of a tie. */
export const greedySearch = (options: ChoiceOptions): Search => new Chain(options, argmax)

/**
 * Tokens drawn from the model's distribution, as the processors (temperature, topK, topP, minP) leave it. The same seed and the
 * same input give the same answer, whatever else is in the batch.
 */
export function sampling(options: ChoiceOptions & { seed: number }): Search {
  let state = mix32(options.seed)
  return new Chain(options, scores => {
    // splitmix32, two words: 53 random bits.
    const word = (): number => mix32((state = (state + 0x9e3779b9) | 0))
    return draw(softmax(scores), ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) / 2 ** 53)
  })
}

/** No search: the tokens are given (EOS last), and what comes is how probable each is. */
export function scoring(target: readonly number[]): Search {
  let next = 0
  return new Chain({ maxNewTokens: target.length, logProbabilities: true }, () => target[next++])
}

/** One row, one token after the other. */
class Chain implements Search {
  readonly rows = 1
  private readonly tokens: number[] = [START_ID]
  private readonly logProbabilities: number[] = []

  constructor(
    private readonly options: ChoiceOptions,
    private readonly choose: (scores: Float32Array) => number,
  ) {
    checkOptions(options)
  }

  next(logits: Float32Array): NextTokens | null {
    const { processors = [], maxNewTokens, stop, logProbabilities } = this.options
    // Logits belong to the engine: whoever changes them gets a copy.
    const scores = processors.length > 0 ? logits.slice() : logits
    for (const process of processors) process(scores, this.tokens)
    const token = this.choose(scores)
    this.tokens.push(token)
    if (logProbabilities) this.logProbabilities.push(logits[token] - logSumExp(logits))
    const made = this.tokens.length - 1
    const isOver = token === EOS_ID || made === maxNewTokens || stop?.(this.tokens.slice(1))
    return isOver ? null : { tokens: [token], parents: null }
  }

  answers(): Answer[] {
    const { logProbabilities } = this
    const score = this.options.logProbabilities ? logProbabilities.reduce((a, b) => a + b, 0) : NaN
    return [{ tokens: this.tokens.slice(1), score, logProbabilities }]
  }
}

export function checkOptions({ maxNewTokens }: SearchOptions): void {
  checkSetting(
    'maxNewTokens',
    maxNewTokens,
    Number.isInteger(maxNewTokens) && maxNewTokens > 0,
    'a positive whole number',
  )
}

function argmax(scores: Float32Array): number {
  let best = 0
  let top = scores[0]
  for (let i = 1; i < scores.length; i++) {
    if (scores[i] > top) {
      top = scores[i]
      best = i
    }
  }
  return best
}

/** The token in whose share of [0, 1) `at` lies. */
function draw(probabilities: Float64Array, at: number): number {
  let sum = 0
  let last = 0
  for (let i = 0; i < probabilities.length; i++) {
    if (probabilities[i] === 0) continue
    last = i
    sum += probabilities[i]
    if (at < sum) break
  }
  return last
}
