import { SwitchyardError } from '../base/errors.js'
import { specialIdsOf } from '../model/config.js'
import type { ForwardOptions } from '../model/types.js'
import { NO_TOKEN } from './decode.js'
import type { MemorySizes } from './decode.js'
import type { EncodedInputs } from './encoding.js'
import type { PassObserver, TokenExperts } from './expert-choices.js'
import { mostTokens } from './limits.js'
import type { SchedulerLimits } from './limits.js'
import { isFitting, sizesOf } from './memory-sizes.js'
import { ExpertReaders } from './paging/readers.js'
import type { Request } from './request.js'
import type { RequestPasses } from './request-passes.js'
import { RowMemory } from './row-memory.js'
import type { DecodingModel } from './row-memory.js'
import type { BestTokens } from './row-scores.js'
import { Rows } from './rows.js'
import { checkNext, needsLogits } from './search.js'
import type { StepExperts } from './search.js'
import type { SchedulerCounts } from './statistics.js'

/** A request that has rows. */
interface Running {
  readonly request: Request
  /** The first of its rows, which lie side by side. */
  first: number
  /** The position of the next token of its rows. */
  step: number
  /** The next token of each of its rows. */
  tokens: readonly number[]
}

/** A request that was encoded, and its place in the batch. */
export interface Encoded {
  readonly request: Request
  readonly input: number
}

/** The requests that are being decoded: their rows of the decoder's memory, and each at a step of its own. */
export class RunningRequests {
  private running: Running[] = []
  private readonly rows = new Rows()
  /** null: no request is running. */
  private memory: RowMemory | null = null

  constructor(
    private readonly forward: ForwardOptions,
    private readonly options: Pick<SchedulerLimits, 'maxNewTokens'> & { readonly onPass?: PassObserver },
    private readonly passes: RequestPasses,
    private readonly counts: SchedulerCounts,
  ) {}

  get requests(): Request[] {
    return this.running.map(({ request }) => request)
  }

  /** The sizes of the decoder's memory; null if no request is running. */
  get memorySizes(): MemorySizes | null {
    return this.memory?.sizes ?? null
  }

  /** Frees the rows of requests that were removed. */
  leave(): void {
    for (const each of this.running) if (this.passes.removed.has(each.request)) this.free(each)
  }

  /** Gives rows to requests whose inputs are encoded. */
  enter(model: DecodingModel, requests: readonly Encoded[], encoded: EncodedInputs): void {
    if (requests.length === 0) return
    const { decoderStartId } = specialIdsOf(this.forward.config)
    const entering = requests.map(({ request, input }): Running & Encoded => {
      const tokens = new Array<number>(request.search.rows).fill(decoderStartId)
      return { request, first: 0, step: 0, tokens, input }
    })
    const memory = this.fit(model, entering)
    const rows = entering.flatMap(({ request, first, tokens, input }) =>
      tokens.map((_, i) => ({ row: first + i, input, inputLength: request.inputs.length })),
    )
    memory.write(encoded.memory, rows)
  }

  /**
   * Makes the memory fit the running requests and those that join, which get their rows. If its sizes do not fit, all
   * rows move to a memory of the right sizes, where they lie side by side.
   */
  private fit(model: DecodingModel, joining: Running[]): RowMemory {
    const { memory } = this
    const all = [...this.running, ...joining]
    const needed = sizesOf(
      all.map(({ request }) => request),
      Math.max(...all.map(({ step }) => step + 1)),
    )
    const sources = this.running.flatMap(({ first, tokens }) => tokens.map((_, i) => first + i))
    this.running = all
    if (memory && isFitting(memory.sizes, needed) && this.place(joining, memory.sizes.rows)) return memory
    this.rows.clear()
    this.place(all, needed.rows)
    return (this.memory = memory ? memory.resized(needed, sources) : RowMemory.empty(model, needed))
  }

  /** Gives rows below `limit` to requests. Returns whether there were enough. */
  private place(requests: readonly Running[], limit: number): boolean {
    for (const running of requests) {
      const first = this.rows.take(running.tokens.length, limit)
      if (first === null) return false
      running.first = first
    }
    return true
  }

  /** Decodes one token of each running request. */
  async decode(model: DecodingModel): Promise<void> {
    const memory = this.fit(model, [])
    const { rows } = memory.sizes
    const asked = this.rowsToRead()
    const [tokens, steps] = [new Array<number>(rows).fill(NO_TOKEN), new Array<number>(rows).fill(0)]
    for (const running of this.running) {
      running.tokens.forEach((token, i) => (tokens[running.first + i] = token))
      steps.fill(running.step, running.first, running.first + running.tokens.length)
    }
    const requests = this.running.map(({ request }) => request).filter(request => !this.passes.removed.has(request))
    const readers = new ExpertReaders(requests, row => this.running.find(running => hasRow(running, row))!.request)
    const { scores, experts } = await this.passes.run(readers, () => memory.advance(tokens, steps, asked))
    this.counts.steps++
    if (this.options.onPass && experts) {
      const answered = this.running.filter(({ request }) => readers.waits(request))
      const taken = answered.flatMap(({ first, tokens: own }) => own.map((_, i) => first + i))
      const ids = taken.map(row => tokens[row])
      await this.options.onPass({ stack: 'decoder', tokens: ids, experts: experts.byLayer(taken) })
    }
    const followed = new Map<number, number>()
    for (const running of this.running) {
      const { first } = running
      const end = first + running.tokens.length
      const best = scores.bestOf(first, end)
      this.counts.generatedTokens += end - first
      if (best.scores.some(Number.isNaN)) {
        // Also if the request is removed: the next request of these rows must not read NaN.
        memory.clear(Array.from({ length: end - first }, (_, i) => first + i))
        const error = readers.failureOf(running.request) ?? notNumbers(running.step)
        if (!this.passes.removed.has(running.request)) this.end(running, error)
        continue
      }
      for (let row = first; row < end; row++) experts?.count(row, this.counts.expertTokens)
      const ofRow = (row: number): TokenExperts => experts?.of(first + row) ?? []
      const parents = this.choose(running, best, scores.logitsOf(first, end), ofRow)
      parents?.forEach((parent, i) => {
        if (parent !== i) followed.set(first + i, first + parent)
      })
    }
    if (followed.size > 0) memory.follow(followed)
  }

  /** The rows of all searches that need their logits. A search that fails ends its request. */
  private rowsToRead(): readonly number[] {
    return this.running.flatMap(running => {
      const { request, first, tokens } = running
      try {
        return needsLogits(request.search) ? tokens.map((_, i) => first + i) : []
      } catch (error) {
        this.end(running, error)
        return []
      }
    })
  }

  /**
   * Lets a request's search choose its next tokens by the most probable ones, or by the logits if they were read.
   * Returns the parents of its rows, or null if it has ended.
   */
  private choose(
    running: Running,
    best: BestTokens,
    logits: Float32Array | null,
    experts: StepExperts,
  ): readonly number[] | null {
    const { request, tokens } = running
    const { search } = request
    if (this.passes.removed.has(request)) return null
    try {
      const next = logits === null ? search.nextOfBest!(best, experts) : search.next(logits, experts)
      if (next !== null) checkNext(next, tokens.length, this.forward.config.vocabSize)
      running.step++
      request.onStep?.()
      // A custom search may not have noticed that the model's limit of tokens is reached.
      if (next === null || running.step >= mostTokens(search, this.options)) {
        this.end(running)
        return null
      }
      running.tokens = next.tokens
      return next.parents
    } catch (error) {
      this.end(running, error)
      return null
    }
  }

  /** Ends a request: its rows are free, and its owner is told. */
  private end(running: Running, error?: unknown): void {
    this.free(running)
    running.request.onEnd(error)
  }

  /** Ends all that runs after an error of the model, since the contents of the memory are not known then. */
  endAll(error: unknown): void {
    const ended = this.running.filter(({ request }) => !this.passes.removed.has(request))
    this.running = []
    this.rows.clear()
    this.memory = null
    for (const { request } of ended) request.onEnd(this.passes.failureOf(request) ?? error)
  }

  private free({ request, first, tokens }: Running): void {
    this.rows.free(first, tokens.length)
    this.running = this.running.filter(running => running.request !== request)
    if (this.running.length === 0) this.memory = null
  }
}

const hasRow = ({ first, tokens }: Running, row: number): boolean => row >= first && row < first + tokens.length

const notNumbers = (step: number): SwitchyardError =>
  new SwitchyardError(
    `the model's scores are not numbers (NaN) after ${step} tokens: its weights are damaged, or too large for this input`,
  )
