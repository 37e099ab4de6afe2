import { ConfigError } from '../base/errors.js'
import { EOS_ID } from '../text/vocabulary.js'
import type { Vocabulary } from '../text/vocabulary.js'
import type { ModelParams } from '../model/types.js'
import { makeGenerator } from './generate.js'
import type { GenerateOptions, Generator } from './generate.js'
import { scoring } from './search.js'
import type { Answer, Search } from './search.js'
import { searchOf } from './text-options.js'
import type { TextOptions } from './text-options.js'

/** A model that answers texts. */
export interface TextModel {
  readonly params: ModelParams
  /** `maxNewTokens`: no answer is longer. */
  readonly options: GenerateOptions
  readonly codec: {
    readonly inputs: Vocabulary
    readonly targets: Vocabulary
    prepare(text: string): string
  }
}

export interface TextAnswer {
  readonly text: string
  readonly tokens: readonly number[]
  /** Of beam search alone; NaN otherwise. */
  readonly score: number
}

/** In nats; `score` is the sum. */
export type TextScore = Pick<Answer, 'tokens' | 'score' | 'logProbabilities'>

interface Request {
  readonly inputs: readonly number[]
  readonly search: Search
  readonly signal: AbortSignal | undefined
  onStep(): void
  /** Settles the call; only the first time counts. */
  onDone(error?: unknown): void
}

/** Rows of one batch at most. */
const MAX_ROWS = 64

/**
 * Answers texts. Calls that come while a batch is running share the next one: an answer depends on nothing else in its batch.
 */
export class TextGenerator {
  private readonly generate: Generator
  private readonly waiting: Request[] = []
  private running: Promise<void> | null = null

  constructor(private readonly model: TextModel) {
    this.generate = makeGenerator(model.options)
  }

  /** The answers to a text, the best first: one, or `numReturned` of beam search. Rejects with the signal's reason when it is aborted. */
  async answer(
    text: string,
    options: TextOptions & { signal?: AbortSignal } = {},
  ): Promise<[TextAnswer, ...TextAnswer[]]> {
    const { signal } = options
    const search = this.searchFor(options)
    await this.submit(text, search, signal, () => undefined)
    // There always is one.
    return search
      .answers()
      .map(({ tokens, score }) => ({ text: this.model.codec.targets.decode(tokens), tokens, score })) as [
      TextAnswer,
      ...TextAnswer[],
    ]
  }

  /** How probable a given answer is, and each of its tokens, EOS among them. Throws a ConfigError if it is longer than answers may be. */
  async score(text: string, answer: string, { signal }: { signal?: AbortSignal } = {}): Promise<TextScore> {
    const tokens = [...this.model.codec.targets.encode(answer), EOS_ID]
    const { maxNewTokens } = this.model.options
    if (tokens.length > maxNewTokens)
      throw new ConfigError(
        `the answer has ${tokens.length} tokens, and at most ${maxNewTokens} (maxNewTokens) can be scored: ${JSON.stringify(answer.slice(0, 60))}`,
      )
    const search = scoring(tokens)
    await this.submit(text, search, signal, () => undefined)
    const [{ score, logProbabilities }] = search.answers()
    return { tokens, score, logProbabilities }
  }

  /** An answer in pieces as it is made, never half a character. Beam search gives it whole, at the end. Aborted or left early, it costs no more steps. */
  async *stream(
    text: string,
    options: TextOptions & { signal?: AbortSignal } = {},
  ): AsyncGenerator<string, void, undefined> {
    const left = new AbortController()
    const signal = options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal
    const search = this.searchFor(options)
    const decoder = this.model.codec.targets.stream()
    let [read, isNews, isDone] = [0, false, false]
    let wake = (): void => undefined
    const tell = (): void => {
      isNews = true
      wake()
    }
    const done = this.submit(text, search, signal, tell).finally(() => {
      isDone = true
      tell()
    })
    done.catch(() => undefined)
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

  private searchFor(options: TextOptions): Search {
    return searchOf(options, this.model.codec.targets, this.model.options.maxNewTokens)
  }

  private submit(text: string, search: Search, signal: AbortSignal | undefined, onStep: () => void): Promise<void> {
    signal?.throwIfAborted()
    const { inputs, prepare } = this.model.codec
    return new Promise((resolve, reject) => {
      const onDone = (error?: unknown): void => {
        if (error === undefined) resolve()
        else reject(error)
      }
      this.waiting.push({ inputs: [...inputs.encode(prepare(text)), EOS_ID], search, signal, onStep, onDone })
      // All calls that are made at once share the first batch.
      this.running ??= Promise.resolve().then(() => this.run())
    })
  }

  private async run(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.nextBatch()
      if (batch.length === 0) continue
      try {
        await this.generate(
          this.model.params,
          batch.map(r => r.inputs),
          batch.map(settling),
          { onStep: () => batch.forEach(r => r.onStep()) },
        )
      } catch (error) {
        for (const { onDone } of batch) onDone(error)
      }
    }
    this.running = null
  }

  /** As many of those that wait as there is room for, at least one; but whoever has left is left out. */
  private nextBatch(): Request[] {
    let rows = 0
    const count = this.waiting.findIndex(({ search }, i) => (rows += search.rows) > MAX_ROWS && i > 0)
    return this.waiting.splice(0, count < 0 ? this.waiting.length : count).filter(({ signal, onDone }) => {
      if (signal?.aborted) onDone(signal.reason)
      return !signal?.aborted
    })
  }
}

/** The request's search, which settles the call as soon as it is over, fails or is told to end: its batch may go on. */
const settling = ({ search, signal, onDone }: Request): Search => ({
  rows: search.rows,
  next: logits => {
    try {
      signal?.throwIfAborted()
      const going = search.next(logits)
      if (going === null) onDone()
      return going
    } catch (error) {
      onDone(error)
      return null
    }
  },
  answers: () => search.answers(),
})
