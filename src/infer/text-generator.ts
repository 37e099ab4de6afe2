import { ConfigError } from '../base/errors.js'
import { specialIdsOf } from '../model/config.js'
import type { ModelParams } from '../model/types.js'
import { inputIds, targetIds } from '../text/special-tokens.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { answerVocabulary } from './answer-vocabulary.js'
import type { TextCodec } from '../text/codec.js'
import { checkIds } from './check-ids.js'
import type { AnswerPiece, AnswerToken } from './answer-piece.js'
import { AnswerQueue } from './answer-queue.js'
import { answerToken } from './answer-reader.js'
import type { ReaderContext } from './answer-reader.js'
import { SearchReader, streamPieces } from './answer-stream.js'
import type { GenerateOptions } from './generate.js'
import type { PassObserver, TokenExperts } from './expert-choices.js'
import { DEFAULT_MEMORY_BYTES, DEFAULT_ROWS } from './limits.js'
import { withDefaults } from './generation-options.js'
import type { SchedulerLimits } from './limits.js'
import type { PagedExperts } from './paged-experts.js'
import { Scheduler } from './scheduler.js'
import { scoring } from './search.js'
import type { Search } from './search.js'
import { searchOf } from './choose-search.js'
import { severalSearches } from './several-searches.js'
import type { GeneratorStatistics } from './statistics.js'
import { shortestFirst } from './shortest-first.js'
import type {
  AnswerOptions,
  PieceOptions,
  TextAnswer,
  TextAnswers,
  TextOrIds,
  TextScore,
  TextSide,
} from './text-answers.js'
import type { TextOptions } from './text-options.js'
import { TokenTexts } from './token-texts.js'
import { FIRST_SIZES, warmUpSearch } from './warm-up.js'

/** How many given answers to one input are scored as one request: more would keep other requests waiting for rows. */
const SCORED_TOGETHER = 16

/** How much a TextGenerator takes on: see SchedulerLimits. */
export type TextLimits = Partial<Pick<SchedulerLimits, 'maxInputTokens' | 'maxRows' | 'maxMemoryBytes'>>

export interface TextGeneratorOptions extends Partial<Omit<SchedulerLimits, 'maxNewTokens'>> {
  /**
   * Called after each encoding and each step of the decoder, if layers of that stack are sparse: see `PassObserver`.
   */
  onPass?: PassObserver
}

/** A model that generates a text, its answer, for an input text. */
export interface TextModel {
  readonly params: ModelParams
  readonly options: GenerateOptions
  readonly codec: TextCodec
  /** Limits of a TextGenerator that is not given others. */
  readonly limits?: TextLimits
  /** Returns an error message if a request does not fit into memory: see SchedulerLimits. */
  readonly memoryProblem?: SchedulerLimits['memoryProblem']
  /** Receives messages for a person: that the model is compiled for each size of its inputs. */
  readonly onNotice?: (message: string) => void
  /** The experts, if they are read when tokens meet them. */
  readonly experts?: PagedExperts
  /** Closes the files that answering reads. Afterwards the model cannot answer. */
  close?(): Promise<void>
}

/**
 * Generates answers to texts. Texts that are given at the same time are decoded together, each at its own step; no
 * answer depends on another text. `limits` bound inputs, rows and memory: see SchedulerLimits. A long-lived process
 * needs one TextGenerator for each model.
 */
export class TextGenerator {
  private readonly scheduler: Scheduler
  private readonly queue: AnswerQueue
  /** The vocabulary of answers, which ends them with the model's EOS. */
  private readonly vocabulary: Vocabulary
  private readonly tokenTexts: TokenTexts
  private readonly inputTexts: TokenTexts

  constructor(
    private readonly model: TextModel,
    limits: TextGeneratorOptions = {},
  ) {
    const { params, options } = model
    const { maxNewTokens, release = false, ...forward } = options
    this.vocabulary = answerVocabulary(model.codec.targets, specialIdsOf(options.config).eosIds)
    this.tokenTexts = new TokenTexts(this.vocabulary)
    this.inputTexts = new TokenTexts(model.codec.inputs)
    this.scheduler = new Scheduler(
      params,
      { ...forward, mode: 'eval' },
      {
        maxInputTokens: limits.maxInputTokens ?? model.limits?.maxInputTokens ?? Infinity,
        maxRows: limits.maxRows ?? model.limits?.maxRows ?? DEFAULT_ROWS,
        maxMemoryBytes: limits.maxMemoryBytes ?? model.limits?.maxMemoryBytes ?? DEFAULT_MEMORY_BYTES,
        memoryProblem: limits.memoryProblem ?? model.memoryProblem,
        maxNewTokens,
        release,
        onPass: limits.onPass,
        experts: model.experts,
        onNotice: model.onNotice,
      },
    )
    this.queue = new AnswerQueue(this.scheduler)
  }

  /** Compiles the model. Without this call, the first answer waits for it. */
  async prepare(): Promise<void> {
    await this.scheduler.prepare()
  }

  /**
   * Answers meaningless requests of the sizes that the first ones usually have, for backends that compile a program for
   * each size (`Backend.compilesEachSize`): without this call, the first requests wait for that. They are not counted.
   * Call it before the first request.
   */
  async warmUp(): Promise<void> {
    const { maxInputTokens, maxRows } = this.scheduler.limits
    const { config, maxNewTokens } = this.model.options
    const { decoderStartId } = specialIdsOf(config)
    try {
      for (const { requests, inputTokens } of FIRST_SIZES) {
        if (requests > maxRows) continue
        const inputs = new Array<number>(Math.min(inputTokens, maxInputTokens)).fill(decoderStartId)
        const searches = Array.from({ length: requests }, () => warmUpSearch(decoderStartId, maxNewTokens))
        await Promise.all(searches.map(search => this.queue.run(inputs, search)))
      }
    } finally {
      this.scheduler.clearCounts()
    }
  }

  /** What the generator is doing, and counts since it was made. */
  statistics(): GeneratorStatistics {
    const { experts } = this.model
    return { ...this.scheduler.statistics(), ...(experts && { paging: experts.statistics() }) }
  }

  /**
   * Closes the files of a model whose experts are paged; of other models nothing is open. Requests that still run end
   * with an error.
   */
  async close(): Promise<void> {
    await this.model.close?.()
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
    const inputs = texts.map(text => this.encode(text))
    return shortestFirst(inputs, options.signal, onProgress, (i, signal) =>
      this.answerTokens(inputs[i], { ...options, signal }),
    )
  }

  /**
   * The log-probability of a given answer to an input, and of each of its tokens, EOS included; an answer that is given
   * as token ids is scored as it is. Throws a ConfigError if the answer is longer than `maxNewTokens`.
   */
  async score(input: TextOrIds, answer: TextOrIds, { signal }: { signal?: AbortSignal } = {}): Promise<TextScore> {
    const search = this.scoringOf(answer)
    await this.queue.run(this.idsOf(input), search, { signal })
    const [{ tokens, score, logProbabilities }] = search.answers()
    return { tokens, score, logProbabilities }
  }

  /** As `score`, with the text of each token, and the `top` most probable tokens at its place. */
  async scoreTokens(
    input: TextOrIds,
    answer: TextOrIds,
    { signal, top = 0 }: { signal?: AbortSignal; top?: number } = {},
  ): Promise<{ readonly tokens: readonly AnswerToken[]; readonly score: number }> {
    return (await this.scoreAnswers(input, [answer], { signal, top }))[0]
  }

  /** As `scoreTokens`, for several answers to one input, which is encoded once for each 16 of them. */
  async scoreAnswers(
    input: TextOrIds,
    answers: readonly TextOrIds[],
    { signal, top = 0 }: { signal?: AbortSignal; top?: number } = {},
  ): Promise<{ readonly tokens: readonly AnswerToken[]; readonly score: number }[]> {
    const inputs = this.idsOf(input)
    const searches = answers.map(answer => this.scoringOf(answer, top))
    // A row is taken until the longest answer beside it has ended.
    const byLength = [...searches].sort((a, b) => a.maxNewTokens! - b.maxNewTokens!)
    const groups = Array.from({ length: Math.ceil(searches.length / SCORED_TOGETHER) }, (_, group) =>
      severalSearches(byLength.slice(group * SCORED_TOGETHER, (group + 1) * SCORED_TOGETHER)),
    )
    await Promise.all(groups.map(search => this.queue.run(inputs, search, { signal })))
    return searches.map(search => {
      const [scored] = search.answers()
      const tokens = scored.tokens.map((_, place) =>
        answerToken(scored, place, this.tokenTexts, { isFirst: place === 0, logProbabilities: top }),
      )
      return { tokens, score: scored.score }
    })
  }

  /** As `score`, for many inputs with one answer each; in batches, as `answerAll`. */
  async scoreAll(
    pairs: readonly { readonly input: string; readonly target: string }[],
    { signal }: { signal?: AbortSignal } = {},
    onProgress?: (done: number) => void,
  ): Promise<TextScore[]> {
    const inputs = pairs.map(({ input }) => this.encode(input))
    return shortestFirst(inputs, signal, onProgress, (i, failed) =>
      this.score(inputs[i], pairs[i].target, { signal: failed }),
    )
  }

  /**
   * The answers to an input, a text or token ids as they enter the encoder, in pieces, as they are generated. A piece
   * has whole characters, and no part of a stop text. Beam search yields whole answers at the end. Generation stops
   * when the signal is aborted, or when the reader leaves the loop.
   */
  async *pieces(
    input: TextOrIds,
    { signal, onInput, ...options }: PieceOptions = {},
  ): AsyncGenerator<AnswerPiece, void, undefined> {
    const inputs = this.idsOf(input)
    const search = this.searchFor(options, inputs)
    const context = this.readerContext(options)
    // Reading the experts of an input takes time in which no request is decoded.
    const onEncoded =
      onInput && options.experts
        ? (experts: readonly TokenExperts[]): void => onInput(this.inputTokens(inputs, experts))
        : undefined
    if (!options.experts) onInput?.(this.inputTokens(inputs))
    yield* streamPieces(this.queue, inputs, search, context, { signal, onEncoded })
  }

  /** The tokens of a text as the encoder reads it, or of a whole answer; with EOS. */
  tokenize(text: string, as: TextSide): readonly AnswerToken[] {
    return as === 'input' ? this.inputTexts.tokensOf(this.encode(text)) : this.tokenTexts.tokensOf(this.answerIds(text))
  }

  /** The text of tokens. */
  detokenize(ids: readonly number[], as: TextSide): string {
    return (as === 'input' ? this.model.codec.inputs : this.vocabulary).decode(ids)
  }

  /** The text of an answer in parts: see `pieces`. Of several answers, the first. */
  async *stream(text: string, options: AnswerOptions = {}): AsyncGenerator<string, void, undefined> {
    for await (const piece of this.pieces(text, options)) if (piece.index === 0 && piece.text !== '') yield piece.text
  }

  /** The search that scores a given answer. */
  private scoringOf(answer: TextOrIds, top?: number): Search {
    const tokens = typeof answer === 'string' ? this.answerIds(answer) : answer
    checkIds('the answer', tokens, this.model.options.config)
    const { maxNewTokens } = this.model.options
    if (tokens.length > maxNewTokens)
      throw new ConfigError(
        `the answer has ${tokens.length} tokens, and at most ${maxNewTokens} (maxNewTokens) can be scored${typeof answer === 'string' ? `: ${JSON.stringify(answer.slice(0, 60))}` : ''}`,
      )
    return scoring(tokens, { topTokens: top })
  }

  /** The token ids of a whole answer, with the model's EOS. */
  private answerIds(answer: string): readonly number[] {
    const { targets } = this.model.codec
    const tokens = [...targetIds(targets, answer)]
    if (tokens.at(-1) === targets.eosId) tokens[tokens.length - 1] = this.vocabulary.eosId
    return tokens
  }

  private encode(text: string): number[] {
    const { inputs, prepare } = this.model.codec
    return inputIds(inputs, prepare(text))
  }

  /** The ids of an input. Throws a ConfigError if given ids are not of the model's vocabulary. */
  private idsOf(input: TextOrIds): readonly number[] {
    if (typeof input === 'string') return this.encode(input)
    checkIds('the input', input, this.model.options.config)
    return input
  }

  private inputTokens(ids: readonly number[], experts?: readonly TokenExperts[]): AnswerToken[] {
    return this.inputTexts.tokensOf(ids).map((token, i) => ({ ...token, ...(experts && { experts: experts[i] }) }))
  }

  private readerContext(options: TextOptions): ReaderContext {
    const { config, maxNewTokens } = this.model.options
    const { stop = [] } = withDefaults(options, config.generation ?? {}, maxNewTokens)
    const { vocabulary, tokenTexts } = this
    const { prefix = [], logProbabilities } = options
    return { vocabulary, tokenTexts, eosIds: specialIdsOf(config).eosIds, stop, prefix, logProbabilities }
  }

  private searchFor(options: TextOptions, input: readonly number[]): Search {
    const { config, maxNewTokens } = this.model.options
    if (options.prefix?.length) checkIds('the prefix', options.prefix, config)
    return searchOf(options, { config, limit: maxNewTokens, vocabulary: this.vocabulary, input })
  }

  private async answerTokens(inputs: readonly number[], { signal, ...options }: AnswerOptions): Promise<TextAnswers> {
    const search = this.searchFor(options, inputs)
    await this.queue.run(inputs, search, { signal })
    const pieces = new SearchReader(search, this.readerContext(options)).read(true)
    const answers = search.answers().map(({ tokens, score }, index): TextAnswer => {
      const { text, finish } = pieces[index]
      return { text, tokens, score, finish: finish! }
    })
    if (answers.length === 0) throw new ConfigError('the search finished without an answer: `answers` returned []')
    return answers as TextAnswers
  }
}
