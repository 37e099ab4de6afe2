import { ConfigError } from '../base/errors.js'
import { T5_SPECIAL_IDS } from '../base/special-ids.js'
import type { SpecialIds } from '../base/special-ids.js'
import { NUM_BEST } from './row-scores.js'
import type { BestTokens } from './row-scores.js'
import type { TokenExperts } from './expert-choices.js'
import { checkSetting, logSumExp, softmax } from './processors.js'
import type { ScoreProcessor } from './processors.js'
import { randomStream } from './random-stream.js'
import { topTokens } from './top-tokens.js'
import type { ScoredId } from './top-tokens.js'

/** The tokens that a search appends to its rows. */
export interface NextTokens {
  /** One token id for each row. */
  readonly tokens: readonly number[]
  /** For each row, the row (from 0, within this search) whose tokens the new token is appended to. null: its own. */
  readonly parents: readonly number[] | null
}

/**
 * For each row, the experts that its last token met when it entered the decoder. In the first step that is the start
 * token.
 */
export type StepExperts = (row: number) => TokenExperts

export interface Answer {
  /** The generated tokens, without the start token and a prefix; the last is EOS if the answer ended with it. */
  readonly tokens: readonly number[]
  /**
   * The sum of the tokens' log-probabilities; beam search divides it by a power of their number. NaN if not requested.
   */
  readonly score: number
  /** The log-probability of each token, by the model's scores before any processor. Empty if not requested. */
  readonly logProbabilities: readonly number[]
  /** For each token, the most probable tokens at its place, by the model's scores. Absent if not requested. */
  readonly top?: readonly (readonly ScoredId[])[]
  /** The experts that each token met, but for the last. Absent if not requested. */
  readonly experts?: readonly TokenExperts[]
  /** Whether it is complete although the search goes on. Default: answers are complete when the search has finished. */
  readonly isOver?: boolean
}

/**
 * The search for the answers to one input: it decides which tokens follow. Generators take any value of this type; the
 * built-in ones are `greedySearch`, `sampling`, `beamSearch` and `scoring`. A search holds the state of one input, and
 * cannot be used again.
 */
export interface Search {
  /** How many rows of the batch it needs. */
  readonly rows: number
  /** Whether its answers only ever get more tokens, so that they can be streamed. Default: if it has one row. */
  readonly answersGrow?: boolean
  /** The most tokens that a row can have, with a prefix. Default: the model's limit. */
  readonly maxNewTokens?: number
  /**
   * Chooses the next tokens by the logits [rows * vocab], which it must not change. null: the search has finished.
   * Generators give `experts`.
   */
  next(logits: Float32Array, experts?: StepExperts): NextTokens | null
  /** Whether the next choice needs all logits. If false, `nextOfBest` is called instead of `next`. Default: true. */
  readonly needsLogits?: boolean
  /**
   * Chooses the next tokens by the most probable tokens of each row alone. The logits are not read from the runtime
   * then: for 32 rows of T5's vocabulary, that is a fifth of a step.
   */
  nextOfBest?(best: BestTokens, experts?: StepExperts): NextTokens | null
  /** The answers so far, best first, at least one. */
  answers(): readonly Answer[]
}

/** Options that every kind of search has. */
export interface SearchOptions {
  /** The most tokens an answer has, EOS included. */
  maxNewTokens: number
  /** Change the scores before each choice, in this order. */
  processors?: readonly ScoreProcessor[]
  /** The ids that end an answer, and the token that the decoder starts from. Default: T5's. */
  specialIds?: Pick<SpecialIds, 'eosIds' | 'decoderStartId'>
  /** Ends an answer that has not reached EOS: called with the tokens of its row, without the start token. */
  stop?: (tokens: readonly number[]) => boolean
  /** Tokens that every row begins with, before its answer. */
  prefix?: readonly number[]
  /** How many of the most probable tokens answers have for each place. */
  topTokens?: number
  /** If true, answers have the experts that their tokens met. */
  experts?: boolean
}

export interface ChoiceOptions extends SearchOptions {
  /** If true, answers have log-probabilities and scores. That costs a pass over the vocabulary for each token. */
  logProbabilities?: boolean
}

/** Always chooses the most probable token; of a tie, the one with the lowest id. */
export const greedySearch = (options: ChoiceOptions): Search => new Chain(options, argmax, true)

/**
 * Draws tokens from the model's distribution, as the processors (temperature, topK, topP, minP) have changed it. The
 * same seed, stream and input give the same answer, independent of the rest of the batch.
 */
export function sampling(options: ChoiceOptions & { seed: number; stream?: number }): Search {
  const random = randomStream(options.seed, options.stream)
  return new Chain(options, scores => draw(softmax(scores), random()))
}

/**
 * Scores a given answer: it always chooses the answer's next token, to the last, and reports the log-probabilities. An
 * EOS inside the answer is a token as any other.
 */
export function scoring(target: readonly number[], options: Pick<SearchOptions, 'topTokens'> = {}): Search {
  let next = 0
  const specialIds = { ...T5_SPECIAL_IDS, eosIds: [] }
  return new Chain(
    { maxNewTokens: target.length, logProbabilities: true, specialIds, ...options },
    () => target[next++],
  )
}

/** A search with one row, which appends one token in each step. */
class Chain implements Search {
  readonly rows = 1
  readonly maxNewTokens: number
  private readonly prefix: readonly number[]
  private readonly tokens: number[]
  private readonly logProbabilities: number[] = []
  private readonly top: (readonly ScoredId[])[] = []
  private readonly experts: TokenExperts[] = []
  private isOver = false
  private scores: Float32Array | null = null

  /** `takesBest`: whether `choose` is `argmax`, for which the most probable tokens may be enough. */
  constructor(
    private readonly options: ChoiceOptions,
    private readonly choose: (scores: Float32Array) => number,
    private readonly takesBest = false,
  ) {
    checkOptions(options)
    this.prefix = options.prefix ?? []
    this.maxNewTokens = this.prefix.length + options.maxNewTokens
    this.tokens = [(options.specialIds ?? T5_SPECIAL_IDS).decoderStartId]
  }

  get needsLogits(): boolean {
    return this.tokens.length > this.prefix.length && this.banned() === null
  }

  next(logits: Float32Array, experts?: StepExperts): NextTokens | null {
    return this.append(() => this.choice(logits), experts)
  }

  nextOfBest(best: BestTokens, experts?: StepExperts): NextTokens | null {
    return this.append(() => this.bestChoice(best), experts)
  }

  private append(choice: () => number, experts: StepExperts | undefined): NextTokens | null {
    const { tokens, prefix, maxNewTokens } = this
    const made = tokens.length - 1
    if (this.options.experts && made > prefix.length) this.experts.push(experts?.(0) ?? [])
    const token = made < prefix.length ? prefix[made] : choice()
    tokens.push(token)
    this.isOver = tokens.length - 1 === maxNewTokens || (made >= prefix.length && this.ends(token))
    return this.isOver ? null : { tokens: [token], parents: null }
  }

  private choice(logits: Float32Array): number {
    const { processors = [], logProbabilities, topTokens: count = 0 } = this.options
    const scores = processors.length > 0 ? this.copyOf(logits) : logits
    for (const process of processors) process(scores, this.tokens)
    const token = this.choose(scores)
    if (processors.length > 0 && scores[token] === -Infinity) throw nothingPossible(this.tokens.length - 1)
    const normalizer = logProbabilities || count > 0 ? logSumExp(logits) : NaN
    if (logProbabilities) this.logProbabilities.push(logits[token] - normalizer)
    if (count > 0) this.top.push(topTokens(logits, count, normalizer))
    return token
  }

  /**
   * The tokens that are impossible now, if the choice depends on nothing else but the most probable tokens, and at
   * least one of these is possible. Otherwise null.
   */
  private banned(): ReadonlySet<number> | null {
    const { processors = [], logProbabilities, topTokens: count = 0 } = this.options
    if (!this.takesBest || logProbabilities || count > 0) return null
    const banned = new Set<number>()
    for (const process of processors) {
      const ids = process.bans?.(this.tokens) ?? null
      if (ids === null) return null
      if (banned.size + ids.length >= NUM_BEST) return null
      for (const id of ids) banned.add(id)
    }
    return banned
  }

  private bestChoice({ ids, scores }: BestTokens): number {
    const banned = this.banned()
    const at = ids.findIndex(id => !banned?.has(id))
    const hasProcessors = (this.options.processors ?? []).length > 0
    if (at < 0 || (hasProcessors && scores[at] === -Infinity)) throw nothingPossible(this.tokens.length - 1)
    return ids[at]
  }

  /** A copy that processors may change: the logits belong to the engine. Its memory is used again in each step. */
  private copyOf(logits: Float32Array): Float32Array {
    this.scores ??= new Float32Array(logits.length)
    this.scores.set(logits)
    return this.scores
  }

  private ends(token: number): boolean {
    const { stop, specialIds = T5_SPECIAL_IDS } = this.options
    return specialIds.eosIds.includes(token) || stop?.(this.tokens.slice(1)) === true
  }

  answers(): Answer[] {
    const { logProbabilities, top, experts } = this
    const score = this.options.logProbabilities ? logProbabilities.reduce((a, b) => a + b, 0) : NaN
    return [
      {
        tokens: this.tokens.slice(1 + this.prefix.length),
        score,
        logProbabilities,
        ...(this.options.topTokens !== undefined && { top }),
        ...(this.options.experts && { experts }),
        isOver: this.isOver,
      },
    ]
  }
}

/** Whether a generator must call `next` for the next tokens, not `nextOfBest`. */
export const needsLogits = (search: Search): boolean => !search.nextOfBest || search.needsLogits !== false

/** Throws a ConfigError unless what a search chose fits its rows and the vocabulary. */
export function checkNext({ tokens, parents }: NextTokens, rows: number, vocab: number): void {
  const within = (list: readonly number[], end: number): boolean =>
    list.length === rows && list.every(x => Number.isInteger(x) && x >= 0 && x < end)
  if (!within(tokens, vocab) || (parents !== null && !within(parents, rows)))
    throw new ConfigError(
      `a search of ${rows} ${rows === 1 ? 'row' : 'rows'} chose the tokens [${tokens}] after the rows [${parents ?? 'unchanged'}]: ` +
        `it needs one token id below ${vocab} and one row below ${rows} for each row`,
    )
}

/** The error for scores that rule out every token. */
export const nothingPossible = (made: number): ConfigError =>
  new ConfigError(
    `no token is possible after ${made} ${made === 1 ? 'token' : 'tokens'} of the answer: what it is restricted to (choices, a regular expression, a JSON schema), banned texts, suppressed tokens, noRepeatNgram, minNewTokens or other options rule out all of them; relax one`,
  )

export function checkOptions({ maxNewTokens, prefix = [] }: SearchOptions): void {
  const least = prefix.length > 0 ? 0 : 1
  checkSetting(
    'maxNewTokens',
    maxNewTokens,
    Number.isInteger(maxNewTokens) && maxNewTokens >= least,
    least === 0 ? 'a whole number from 0' : 'a positive whole number',
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

/**
 * Cuts [0, 1) into one interval for each token, as long as its probability; returns the token whose interval holds
 * `at`.
 */
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
