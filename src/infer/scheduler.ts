import { SwitchyardError } from '../base/errors.js'
import { releaseArrays } from '../engine/api/tensor.js'
import { specialIdsOf, stackLayers } from '../model/config.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import { NO_TOKEN } from './decode.js'
import type { MemorySizes } from './decode.js'
import { Encoding } from './encoding.js'
import type { EncodedInputs } from './encoding.js'
import { isOneSlice, mayDrop, planEncoding } from './encoding-plan.js'
import type { EncodingPlan } from './encoding-plan.js'
import type { PassObserver, TokenExperts } from './expert-choices.js'
import { checkRequest } from './limits.js'
import type { Needed, SchedulerLimits } from './limits.js'
import { attentionBytes, isFitting, memoryBytes, sizesOf } from './memory-sizes.js'
import { countPadded } from './padded-inputs.js'
import type { PagedExperts } from './paged-experts.js'
import { ExpertReaders } from './paging/readers.js'
import { decodingModel, RowMemory } from './row-memory.js'
import type { DecodingModel } from './row-memory.js'
import { Rows } from './rows.js'
import type { BestTokens } from './row-scores.js'
import { checkNext, needsLogits } from './search.js'
import type { Search, StepExperts } from './search.js'
import { SchedulerCounts } from './statistics.js'
import type { GeneratorStatistics } from './statistics.js'

/** One input to answer. */
export interface Request {
  /** Token ids of the input, EOS included. */
  readonly inputs: readonly number[]
  /** Chooses the tokens of its answers. Its `answers` are complete when the request has ended. */
  readonly search: Search
  /** Called once when the input is encoded, with the experts that its tokens met. Not called without this method. */
  onEncoded?(experts: readonly TokenExperts[]): void
  /** Called after every step of the request. */
  onStep?(): void
  /** Called once when the request has ended: without an error if its search finished. Not called after `remove`. */
  onEnd(error?: unknown): void
}

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
interface Encoded {
  readonly request: Request
  readonly input: number
}

export interface SchedulerOptions extends SchedulerLimits {
  /**
   * If true, the scheduler takes the parameters over: it packs them for matmuls and releases the originals, so that
   * memory holds them once. They cannot be used for anything else afterwards.
   */
  release: boolean
  /** Called after each encoding and each step of the decoder, if layers of that stack are sparse. */
  onPass?: PassObserver
  /** The experts of the parameters, if they are read when tokens meet them. */
  experts?: Pick<PagedExperts, 'during'>
  /** How many operations of an encoding are computed between two steps. Default: `SLICE_OPERATIONS`. */
  sliceOperations?: number
}

/**
 * How many tokens are encoded together, padding included. Fewer would make small matrix products, which cost more for
 * each token. A longer input is encoded alone.
 */
const ENCODED_TOKENS = 1024

const countRows = (requests: readonly Request[]): number => requests.reduce((sum, { search }) => sum + search.rows, 0)

/**
 * Answers requests together, each at a step of its own. A request joins at any step, when its input is encoded, and
 * leaves when its search ends. Its answers depend on no other request: same tokens, log-probabilities to 1e-5.
 *
 * The owner calls `step` while there is work, one call at a time; `add` and `remove` may be called at any time.
 */
export class Scheduler {
  private waiting: Request[] = []
  private running: Running[] = []
  /** Requests whose encoding takes several steps. */
  private encoding: Encoding<Request> | null = null
  /** Whether the last step encoded other inputs than those of `encoding`. They take turns. */
  private hasPassed = false
  /** Requests that run or are being encoded, and are to leave at the next step. */
  private readonly removed = new Set<Request>()
  private readonly rows = new Rows()
  /** null: no request is running. */
  private memory: RowMemory | null = null
  /** The requests of the pass that runs: an encoding, or a step of the decoder. */
  private readers: ExpertReaders<Request> | null = null
  private model: Promise<DecodingModel> | null = null
  private hasReleased = false
  private readonly counts: SchedulerCounts

  constructor(
    private readonly params: ModelParams,
    private readonly forward: ForwardOptions,
    private readonly options: SchedulerOptions,
  ) {
    const { config } = forward
    const sparseLayers = stackLayers(config, 'decoder').filter(({ sparse }) => sparse).length
    this.counts = new SchedulerCounts(sparseLayers, config.numExperts)
  }

  /** Whether no request waits, is being encoded, or runs. */
  get isIdle(): boolean {
    return this.waiting.length === 0 && this.encoding === null && this.running.length === 0
  }

  /** The sizes of the decoder's memory; null if no request is running. */
  get memorySizes(): MemorySizes | null {
    return this.memory?.sizes ?? null
  }

  statistics(): GeneratorStatistics {
    const { running, encoding, waiting, memory, counts } = this
    const { steps, inputTokens, generatedTokens, droppedTokens } = counts
    return {
      running: running.length + (encoding?.requests.length ?? 0),
      waiting: waiting.length,
      memoryBytes: memory === null ? 0 : memoryBytes(memory.sizes, this.forward.config),
      maxMemoryBytes: this.options.maxMemoryBytes,
      steps,
      stepTokens: [...counts.stepTokens],
      inputTokens,
      generatedTokens,
      droppedTokens,
      expertTokens: counts.expertTokens.map(ofLayer => [...ofLayer]),
    }
  }

  /** Adds a request, which waits until there is room for it. Throws a ConfigError if there can never be room. */
  add(request: Request): void {
    const { config } = this.forward
    const { length } = request.inputs
    const { parts } = this.planOf([request])
    const encodingBytes = attentionBytes(length, config, Math.min(length, parts[0].end))
    checkRequest(request, { ...this.largestMemory([request]), encodingBytes }, this.options)
    this.waiting.push(request)
  }

  /** Removes a request. */
  remove(request: Request): void {
    const at = this.waiting.indexOf(request)
    if (at >= 0) this.waiting.splice(at, 1)
    // It runs, is being encoded, or has ended already. `leave` forgets it.
    else {
      this.removed.add(request)
      this.readers?.leave(request)
    }
  }

  /**
   * Encodes waiting requests for which there is room, or a slice of them, then decodes one token of each running
   * request. An error of one request, such as that of its search, ends this request. An error of the model ends all
   * requests that it concerns.
   */
  async step(): Promise<void> {
    let model: DecodingModel
    try {
      model = await this.prepared()
    } catch (error) {
      for (const request of this.waiting.splice(0)) request.onEnd(error)
      return
    }
    try {
      this.leave()
      await this.encode(model)
      if (this.running.length > 0) await this.decode(model)
      this.counts.endStep()
    } catch (error) {
      this.endAll(error)
    }
  }

  /** Compiles the model, if the first step has not yet. */
  async prepare(): Promise<void> {
    await this.prepared()
  }

  private async prepared(): Promise<DecodingModel> {
    try {
      return await (this.model ??= this.compile())
    } catch (error) {
      // Released parameters cannot be compiled again: later requests get the same error.
      if (!this.hasReleased) this.model = null
      throw error
    }
  }

  /** Compiles the model with the parameters, and releases them if they are the scheduler's own. */
  private async compile(): Promise<DecodingModel> {
    const { params } = this
    const model = await decodingModel(params, this.forward)
    if (this.options.release) {
      for await (const arrays of model.compiled.prepare(params)) {
        this.hasReleased = true
        releaseArrays(arrays, 'a generator')
      }
    }
    return model
  }

  /** Frees the rows of requests that were removed, and ends an encoding that no request waits for. */
  private leave(): void {
    const { running, removed } = this
    for (const each of running) if (removed.has(each.request)) this.free(each)
    const requests = this.encoding?.requests ?? []
    if (requests.every(request => removed.has(request))) this.encoding = null
    for (const request of removed) if (!(this.encoding && requests.includes(request))) removed.delete(request)
  }

  /**
   * Encodes inputs between two steps: those of waiting requests, or the next slice of an encoding that takes several.
   * Short inputs pass the long ones, and take turns with their slices.
   */
  private async encode(model: DecodingModel): Promise<void> {
    const passes = !(this.encoding && this.hasPassed) && (await this.join(model))
    this.hasPassed = passes
    if (this.encoding && !passes) await this.goOn(model, this.encoding)
  }

  /**
   * Takes waiting requests on, in their order, as far as there is room. Encodes their inputs if that takes one slice.
   * Returns whether it did.
   */
  private async join(model: DecodingModel): Promise<boolean> {
    const requests = this.takeWaiting()
    if (requests.length === 0) return false
    const plan = this.planOf(requests)
    const encoding = new Encoding(model, requests, plan)
    if (isOneSlice(plan)) await this.goOn(model, encoding)
    else this.encoding = encoding
    return isOneSlice(plan)
  }

  /** Computes the next slice of an encoding. After the last one, its requests get rows. */
  private async goOn(model: DecodingModel, encoding: Encoding<Request>): Promise<void> {
    const waiting = encoding.requests.filter(request => !this.removed.has(request))
    const readers = new ExpertReaders(waiting, token => encoding.requestOf(token))
    const left = (): Encoded[] =>
      encoding.requests.map((request, input) => ({ request, input })).filter(({ request }) => readers.waits(request))
    let encoded: EncodedInputs | null = null
    try {
      encoded = await this.during(readers, () => encoding.next())
      if (encoded) await this.tellExperts(left(), encoded)
    } catch (error) {
      if (this.encoding === encoding) this.encoding = null
      for (const request of waiting) this.fail(request, readers.failureOf(request) ?? error)
      return
    }
    for (const request of waiting) {
      const failure = readers.failureOf(request)
      if (failure === undefined) continue
      this.fail(request, failure)
      this.removed.add(request)
    }
    if (encoded === null) return
    if (this.encoding === encoding) this.encoding = null
    this.enter(model, left(), encoded)
  }

  /** Gives rows to requests whose inputs are encoded. */
  private enter(model: DecodingModel, requests: readonly Encoded[], encoded: EncodedInputs): void {
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
   * Runs a pass for requests. If experts are read, those of a request that leaves are not, and a request whose expert
   * cannot be read fails alone.
   */
  private async during<T>(readers: ExpertReaders<Request>, pass: () => Promise<T>): Promise<T> {
    this.readers = readers
    const { experts } = this.options
    return experts ? experts.during(readers, pass) : pass()
  }

  /** Tells a request's owner of an error, unless the request was removed. */
  private fail(request: Request, error: unknown): void {
    if (!this.removed.has(request)) request.onEnd(error)
  }

  /** Counts encoded tokens, and tells requests that ask which experts their tokens met. */
  private async tellExperts(encodings: readonly Encoded[], { length, experts }: EncodedInputs): Promise<void> {
    const {
      counts,
      options: { onPass },
    } = this
    for (const { request } of encodings) counts.inputTokens += request.inputs.length
    if (!onPass && !mayDrop(this.forward) && encodings.every(({ request }) => request.onEncoded === undefined)) return
    const choices = await experts()
    const placesOf = ({ request, input }: Encoded): number[] => request.inputs.map((_, place) => input * length + place)
    if (onPass && choices) {
      const tokens = encodings.flatMap(({ request }) => request.inputs)
      await onPass({ stack: 'encoder', tokens, experts: choices.byLayer(encodings.flatMap(placesOf)) })
    }
    for (const encoding of encodings) {
      const { request } = encoding
      const ofTokens = placesOf(encoding).map(place => choices?.of(place) ?? [])
      for (const ofToken of ofTokens) counts.droppedTokens += ofToken.filter(ofLayer => ofLayer.length === 0).length
      if (!this.removed.has(request)) request.onEncoded?.(ofTokens)
    }
  }

  /** Removes the requests from the queue that may join now: only short ones while others are being encoded. */
  private takeWaiting(): Request[] {
    const { maxRows, maxMemoryBytes } = this.options
    const held = [...this.running.map(({ request }) => request), ...(this.encoding?.requests ?? [])]
    let rows = countRows(held)
    const taken: Request[] = []
    for (const request of this.waiting) {
      const together = [...taken, request]
      if (this.encoding && !isOneSlice(this.planOf(together))) {
        if (taken.length > 0) break
        continue
      }
      if (rows > 0) {
        const { bytes } = this.largestMemory([...held, ...together])
        if (bytes > maxMemoryBytes || rows + request.search.rows > maxRows) break
      }
      const isMuch = countPadded(together.map(({ inputs }) => inputs)) > ENCODED_TOKENS
      if (taken.length > 0 && isMuch && !mayDrop(this.forward)) break
      taken.push(request)
      rows += request.search.rows
    }
    this.waiting = this.waiting.filter(request => !taken.includes(request))
    return taken
  }

  private planOf(requests: readonly Request[]): EncodingPlan {
    return planEncoding(
      requests.map(({ inputs }) => inputs),
      this.forward,
      this.options.sliceOperations,
    )
  }

  /** The memory for requests when their answers are as long as they may be. */
  private largestMemory(requests: readonly Request[]): Omit<Needed, 'encodingBytes'> {
    const sizes = sizesOf(requests, Math.max(...requests.map(({ search }) => this.maxTokens(search))))
    return { sizes, bytes: memoryBytes(sizes, this.forward.config) }
  }

  /** The most tokens of a search's answers. */
  private maxTokens({ maxNewTokens = Infinity }: Search): number {
    return Math.min(maxNewTokens, this.options.maxNewTokens)
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
  private async decode(model: DecodingModel): Promise<void> {
    const memory = this.fit(model, [])
    const { rows } = memory.sizes
    const asked = this.rowsToRead()
    const [tokens, steps] = [new Array<number>(rows).fill(NO_TOKEN), new Array<number>(rows).fill(0)]
    for (const running of this.running) {
      running.tokens.forEach((token, i) => (tokens[running.first + i] = token))
      steps.fill(running.step, running.first, running.first + running.tokens.length)
    }
    const requests = this.running.map(({ request }) => request).filter(request => !this.removed.has(request))
    const readers = new ExpertReaders(requests, row => this.running.find(running => hasRow(running, row))!.request)
    const { scores, experts } = await this.during(readers, () => memory.advance(tokens, steps, asked))
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
        if (!this.removed.has(running.request)) this.end(running, error)
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
    if (this.removed.has(request)) return null
    try {
      const next = logits === null ? search.nextOfBest!(best, experts) : search.next(logits, experts)
      if (next !== null) checkNext(next, tokens.length, this.forward.config.vocabSize)
      running.step++
      request.onStep?.()
      // A custom search may not have noticed that the model's limit of tokens is reached.
      if (next === null || running.step >= this.maxTokens(search)) {
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
  private endAll(error: unknown): void {
    const ended = this.running.filter(({ request }) => !this.removed.has(request))
    this.running = []
    this.rows.clear()
    this.memory = null
    for (const { request } of ended) request.onEnd(this.readers?.failureOf(request) ?? error)
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
