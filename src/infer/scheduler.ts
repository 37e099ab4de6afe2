import { releaseArrays } from '../engine/api/tensor.js'
import { stackLayers } from '../model/config.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import type { Notices } from './compiled-encoder.js'
import type { MemorySizes } from './decode.js'
import { EncodingRequests } from './encoding-requests.js'
import { isOneSlice, mayDrop } from './encoding-plan.js'
import type { PassObserver } from './expert-choices.js'
import { checkRequest, mostTokens } from './limits.js'
import type { Needed, SchedulerLimits } from './limits.js'
import { attentionBytes, memoryBytes, sizesOf } from './memory-sizes.js'
import { countPadded } from './padded-inputs.js'
import type { PagedExperts } from './paged-experts.js'
import { countRows } from './request.js'
import type { Request } from './request.js'
import { RequestPasses } from './request-passes.js'
import { decodingModel } from './row-memory.js'
import type { DecodingModel } from './row-memory.js'
import { RunningRequests } from './running-requests.js'
import { SchedulerCounts } from './statistics.js'
import type { GeneratorStatistics } from './statistics.js'
import { WaitingRequests } from './waiting-requests.js'

export interface SchedulerOptions extends SchedulerLimits, Notices {
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

/**
 * Answers requests together, each at a step of its own. A request joins at any step, when its input is encoded, and
 * leaves when its search ends. Its answers depend on no other request: same tokens, log-probabilities to 1e-5.
 *
 * The owner calls `step` while there is work, one call at a time; `add` and `remove` may be called at any time.
 */
export class Scheduler {
  private readonly waiting = new WaitingRequests()
  private model: Promise<DecodingModel> | null = null
  private hasReleased = false
  private readonly counts: SchedulerCounts
  private readonly passes: RequestPasses
  private readonly running: RunningRequests
  private readonly encoding: EncodingRequests

  constructor(
    private readonly params: ModelParams,
    private readonly forward: ForwardOptions,
    private readonly options: SchedulerOptions,
  ) {
    const { config } = forward
    const sparseLayers = stackLayers(config, 'decoder').filter(({ sparse }) => sparse).length
    this.counts = new SchedulerCounts(sparseLayers, config.numExperts)
    this.passes = new RequestPasses(options.experts)
    this.running = new RunningRequests(forward, options, this.passes, this.counts)
    this.encoding = new EncodingRequests(forward, options, this.passes, this.counts, this.running)
  }

  /** Whether no request waits, is being encoded, or runs. */
  get isIdle(): boolean {
    return this.waiting.size === 0 && this.held.length === 0
  }

  /** The sizes of the decoder's memory; null if no request is running. */
  get memorySizes(): MemorySizes | null {
    return this.running.memorySizes
  }

  statistics(): GeneratorStatistics {
    const { held, waiting, memorySizes, counts } = this
    const { steps, inputTokens, generatedTokens, droppedTokens } = counts
    return {
      running: held.length,
      waiting: waiting.size,
      memoryBytes: memorySizes === null ? 0 : memoryBytes(memorySizes, this.forward.config),
      maxMemoryBytes: this.options.maxMemoryBytes,
      steps,
      stepTokens: [...counts.stepTokens],
      inputTokens,
      generatedTokens,
      droppedTokens,
      expertTokens: counts.expertTokens.map(ofLayer => [...ofLayer]),
    }
  }

  /** How much it takes on. */
  get limits(): SchedulerLimits {
    return this.options
  }

  /** Begins the counts of `statistics` again from 0. */
  clearCounts(): void {
    this.counts.clear()
  }

  /** Adds a request, which waits until there is room for it. Throws a ConfigError if there can never be room. */
  add(request: Request): void {
    const { config } = this.forward
    const { length } = request.inputs
    const { parts } = this.encoding.planOf([request])
    const encodingBytes = attentionBytes(length, config, Math.min(length, parts[0].end))
    checkRequest(request, { ...this.largestMemory([request]), encodingBytes }, this.options)
    this.waiting.add(request)
  }

  /** Removes a request. */
  remove(request: Request): void {
    // If it does not wait, it runs, is being encoded, or has ended already. `leave` forgets it.
    if (!this.waiting.remove(request)) this.passes.remove(request)
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
      for (const request of this.waiting.removeAll()) request.onEnd(error)
      return
    }
    try {
      this.leave()
      await this.encoding.encode(model, () => this.takeWaiting())
      if (this.running.requests.length > 0) await this.running.decode(model)
      this.counts.endStep()
    } catch (error) {
      this.running.endAll(error)
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
    const model = await decodingModel(params, this.forward, { onNotice: this.options.onNotice })
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
    const { running, encoding, passes } = this
    running.leave()
    encoding.leave()
    for (const request of passes.removed) if (!encoding.requests.includes(request)) passes.removed.delete(request)
  }

  /** The requests that run or are being encoded. */
  private get held(): readonly Request[] {
    return [...this.running.requests, ...this.encoding.requests]
  }

  /** Removes the requests from the queue that may join now: only short ones while others are being encoded. */
  private takeWaiting(): Request[] {
    if (this.waiting.size === 0) return []
    const { maxRows, maxMemoryBytes } = this.options
    const { held, encoding } = this
    const areEncoded = encoding.requests.length > 0
    // If experts drop tokens, the encoder's output depends on the whole batch. Without limits, they are one batch.
    const isOneBatch = mayDrop(this.forward) && maxRows === Infinity
    return this.waiting.takeGroup({
      isOneBatch,
      mayEncode: requests => {
        if (areEncoded && !isOneSlice(encoding.planOf(requests))) return false
        return isOneBatch || requests.length === 1 || countPadded(requests.map(r => r.inputs)) <= ENCODED_TOKENS
      },
      hasRoom: requests => {
        const all = [...held, ...requests]
        // A request that needs more than the limits runs alone.
        if (all.length === 1) return true
        return countRows(all) <= maxRows && this.largestMemory(all).bytes <= maxMemoryBytes
      },
    })
  }

  /** The memory for requests when their answers are as long as they may be. */
  private largestMemory(requests: readonly Request[]): Omit<Needed, 'encodingBytes'> {
    const sizes = sizesOf(requests, Math.max(...requests.map(({ search }) => mostTokens(search, this.options))))
    return { sizes, bytes: memoryBytes(sizes, this.forward.config) }
  }
}
