import { ConfigError } from '../base/errors.js'
import { specialIdsOf } from '../model/config.js'
import type { ModelParams } from '../model/types.js'
import { inputIds, targetIds } from '../text/special-tokens.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { answerVocabulary } from './answer-vocabulary.js'
import type { TextCodec } from '../text/codec.js'
import { AnswerQueue } from './answer-queue.js'
import type { GenerateOptions } from './generate.js'
import { DEFAULT_MEMORY_BYTES, DEFAULT_ROWS } from './limits.js'
import type { SchedulerLimits } from './limits.js'
import { Scheduler } from './scheduler.js'
import { scoring } from './search.js'
import type { Answer, Search } from './search.js'
import { searchOf } from './choose-search.js'
import type { TextOptions } from './text-options.js'

/** A model that generates a text (an answer) for an input text. */
export interface TextModel {
  readonly params: ModelParams
  readonly options: GenerateOptions
  readonly codec: TextCodec
  /** Says if a request does not fit into memory: see SchedulerLimits. */
  readonly memoryProblem?: SchedulerLimits['memoryProblem']
}

export interface TextAnswer {
  readonly text: string
  readonly tokens: readonly number[]
  /** The score of beam search; NaN for greedy search and sampling. */
  readonly score: number
}

/** The answers to one text, best first: one, or `numReturned` of beam search. */
export type TextAnswers = [TextAnswer, ...TextAnswer[]]

/** Log-probabilities (natural logarithms) of a given answer's tokens; `score` is their sum. */
export type TextScore = Pick<Answer, 'tokens' | 'score' | 'logProbabilities'>

export type AnswerOptions = TextOptions & {
  /** Ends generation; the call rejects with the signal's reason. */
  signal?: AbortSignal
}

/**
 * Generates answers to texts. Texts that are given at the same time are decoded together, each at its own step; no
 * answer depends on another text. `limits` say how much is taken on: see SchedulerLimits. A long-lived process needs
 * one TextGenerator for each model.
 */
export class TextGenerator {
  private readonly queue: AnswerQueue
  /** The vocabulary of answers, which ends them with the model's EOS. */
  private readonly vocabulary: Vocabulary

  constructor(
    private readonly model: TextModel,
    limits: Partial<Omit<SchedulerLimits, 'maxNewTokens'>> = {},
  ) {
    const { params, options } = model
    const { maxNewTokens, release = false, ...forward } = options
    this.vocabulary = answerVocabulary(model.codec.targets, specialIdsOf(options.config).eosIds)
    this.queue = new AnswerQueue(
      new Scheduler(
        params,
        { ...forward, mode: 'eval' },
        {
          maxInputTokens: Infinity,
          maxRows: DEFAULT_ROWS,
          maxMemoryBytes: DEFAULT_MEMORY_BYTES,
          memoryProblem: model.memoryProblem,
          ...limits,
          maxNewTokens,
          release,
        },
      ),
    )
  }

  /** The answers to a text. */
  async answer(text: string, options: AnswerOptions = {}): Promise<TextAnswers> {
    return this.answerTokens(this.encode(text), options)
  }

  /**
   * The answers to many texts, in their order. Texts of similar length share a batch, which leaves little padding.
   * `onProgress` is called after each text with the number of texts that are answered. If one text fails, the remaining
   * texts are abandoned.
   */
  async answerAll(
    texts: readonly string[],
    options: AnswerOptions = {},
    onProgress?: (done: number) => void,
  ): Promise<TextAnswers[]> {
    return this.inBatches(texts, options.signal, onProgress, (inputs, signal) =>
      this.answerTokens(inputs, { ...options, signal }),
    )
  }

  /**
   * The log-probability of a given answer to a text, and of each of its tokens, EOS included. Throws a ConfigError if
   * the answer is longer than `maxNewTokens`.
   */
  async score(text: string, answer: string, { signal }: { signal?: AbortSignal } = {}): Promise<TextScore> {
    return this.scoreTokens(this.encode(text), answer, signal)
  }

  /** As `score`, for many inputs with one answer each; in batches, as `answerAll`. */
  async scoreAll(
    pairs: readonly { readonly input: string; readonly target: string }[],
    { signal }: { signal?: AbortSignal } = {},
    onProgress?: (done: number) => void,
  ): Promise<TextScore[]> {
    const texts = pairs.map(({ input }) => input)
    return this.inBatches(texts, signal, onProgress, (inputs, failed, i) =>
      this.scoreTokens(inputs, pairs[i].target, failed),
    )
  }

  /**
   * An answer in pieces, as they are generated; no piece ends within a character. Beam search yields the whole answer
   * at the end. Generation stops when the signal is aborted, or when the reader leaves the loop.
   */
  async *stream(text: string, options: AnswerOptions = {}): AsyncGenerator<string, void, undefined> {
    const left = new AbortController()
    const signal = options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal
    const input = this.encode(text)
    const search = this.searchFor(options, input)
    const decoder = this.vocabulary.stream()
    let [read, isNews, isDone] = [0, false, false]
    let wake = (): void => undefined
    const onStep = (): void => {
      isNews = true
      wake()
    }
    const done = this.queue.run(input, search, { signal, onStep }).finally(() => {
      isDone = true
      onStep()
    })
    done.catch(() => undefined) // It is awaited below, unless the reader leaves.
    try {
      while (!isDone) {
        if (!isNews)
          await new Promise<void>(resolve => {
            wake = resolve
          })
        isNews = false
        const piece = search.rows === 1 || isDone ? take() : ''
        if (piece !== '') yield piece
      }
      await done
      const last = decoder.end()
      if (last !== '') yield last
    } finally {
      left.abort()
    }

    /** The text of the tokens that were generated since the last call. */
    function take(): string {
      const { tokens } = search.answers()[0]
      const piece = tokens
        .slice(read)
        .map(token => decoder.push(token))
        .join('')
      read = tokens.length
      return piece
    }
  }

  /** Runs `task` for all texts at once, in the order of their lengths. The first failure aborts the signal. */
  private async inBatches<T>(
    texts: readonly string[],
    given: AbortSignal | undefined,
    onProgress: ((done: number) => void) | undefined,
    task: (inputs: readonly number[], signal: AbortSignal, index: number) => Promise<T>,
  ): Promise<T[]> {
    const failed = new AbortController()
    const signal = given ? AbortSignal.any([given, failed.signal]) : failed.signal
    const inputs = texts.map(text => this.encode(text))
    const results = new Array<T>(texts.length)
    let done = 0
    const byLength = inputs.map((_, i) => i).sort((a, b) => inputs[a].length - inputs[b].length)
    try {
      await Promise.all(
        byLength.map(async i => {
          results[i] = await task(inputs[i], signal, i)
          onProgress?.(++done)
        }),
      )
    } finally {
      failed.abort()
    }
    return results
  }

  private async scoreTokens(inputs: readonly number[], answer: string, signal?: AbortSignal): Promise<TextScore> {
    const { targets } = this.model.codec
    const tokens = [...targetIds(targets, answer)]
    if (tokens.at(-1) === targets.eosId) tokens[tokens.length - 1] = this.vocabulary.eosId
    const { maxNewTokens } = this.model.options
    if (tokens.length > maxNewTokens)
      throw new ConfigError(
        `the answer has ${tokens.length} tokens, and at most ${maxNewTokens} (maxNewTokens) can be scored: ${JSON.stringify(answer.slice(0, 60))}`,
      )
    const search = scoring(tokens)
    await this.queue.run(inputs, search, { signal })
    const [{ score, logProbabilities }] = search.answers()
    return { tokens, score, logProbabilities }
  }

  private encode(text: string): number[] {
    const { inputs, prepare } = this.model.codec
    return inputIds(inputs, prepare(text))
  }

  private searchFor(options: TextOptions, input: readonly number[]): Search {
    const { config, maxNewTokens } = this.model.options
    return searchOf(options, { config, limit: maxNewTokens, vocabulary: this.vocabulary, input })
  }

  private async answerTokens(inputs: readonly number[], { signal, ...options }: AnswerOptions): Promise<TextAnswers> {
    const search = this.searchFor(options, inputs)
    await this.queue.run(inputs, search, { signal })
    const answers = search
      .answers()
      .map(({ tokens, score }) => ({ text: this.vocabulary.decode(tokens), tokens, score }))
    if (answers.length === 0) throw new ConfigError('the search finished without an answer: `answers` returned []')
    return answers as TextAnswers
  }
}
