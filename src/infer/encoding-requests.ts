import type { ForwardOptions } from '../model/types.js'
import { Encoding } from './encoding.js'
import type { EncodedInputs } from './encoding.js'
import { isOneSlice, mayDrop, planEncoding } from './encoding-plan.js'
import type { EncodingPlan } from './encoding-plan.js'
import type { PassObserver } from './expert-choices.js'
import { ExpertReaders } from './paging/readers.js'
import type { Request } from './request.js'
import type { RequestPasses } from './request-passes.js'
import type { DecodingModel } from './row-memory.js'
import type { Encoded, RunningRequests } from './running-requests.js'
import type { SchedulerCounts } from './statistics.js'

export interface EncodingOptions {
  /** Called after each encoding, if layers of the encoder are sparse. */
  readonly onPass?: PassObserver
  /** How many operations of an encoding are computed between two steps. Default: `SLICE_OPERATIONS`. */
  readonly sliceOperations?: number
}

/** The requests whose inputs are being encoded, slice by slice. They run when they are encoded. */
export class EncodingRequests {
  /** Requests whose encoding takes several steps. */
  private encoding: Encoding<Request> | null = null
  /** Whether the last step encoded other inputs than those of `encoding`. They take turns. */
  private hasPassed = false

  constructor(
    private readonly forward: ForwardOptions,
    private readonly options: EncodingOptions,
    private readonly passes: RequestPasses,
    private readonly counts: SchedulerCounts,
    private readonly running: RunningRequests,
  ) {}

  get requests(): readonly Request[] {
    return this.encoding?.requests ?? []
  }

  /** The slices of an encoding of requests together. */
  planOf(requests: readonly Request[]): EncodingPlan {
    return planEncoding(
      requests.map(({ inputs }) => inputs),
      this.forward,
      this.options.sliceOperations,
    )
  }

  /** Ends an encoding that no request waits for. */
  leave(): void {
    if (this.requests.every(request => this.passes.removed.has(request))) this.encoding = null
  }

  /**
   * Encodes inputs between two steps: those of waiting requests, or the next slice of an encoding that takes several.
   * Short inputs pass the long ones, and take turns with their slices.
   */
  async encode(model: DecodingModel, takeWaiting: () => Request[]): Promise<void> {
    const passes = !(this.encoding && this.hasPassed) && (await this.join(model, takeWaiting))
    this.hasPassed = passes
    if (this.encoding && !passes) await this.goOn(model, this.encoding)
  }

  /**
   * Takes waiting requests on (see `WaitingRequests`). Encodes their inputs if that takes one slice. Returns whether it
   * did.
   */
  private async join(model: DecodingModel, takeWaiting: () => Request[]): Promise<boolean> {
    const requests = takeWaiting()
    if (requests.length === 0) return false
    const plan = this.planOf(requests)
    const encoding = new Encoding(model, requests, plan)
    if (isOneSlice(plan)) await this.goOn(model, encoding)
    else this.encoding = encoding
    return isOneSlice(plan)
  }

  /** Computes the next slice of an encoding. After the last one, its requests get rows. */
  private async goOn(model: DecodingModel, encoding: Encoding<Request>): Promise<void> {
    const waiting = encoding.requests.filter(request => !this.passes.removed.has(request))
    const readers = new ExpertReaders(waiting, token => encoding.requestOf(token))
    const left = (): Encoded[] =>
      encoding.requests.map((request, input) => ({ request, input })).filter(({ request }) => readers.waits(request))
    let encoded: EncodedInputs | null = null
    try {
      encoded = await this.passes.run(readers, () => encoding.next())
      if (encoded) await this.tellExperts(left(), encoded)
    } catch (error) {
      if (this.encoding === encoding) this.encoding = null
      for (const request of waiting) this.passes.fail(request, readers.failureOf(request) ?? error)
      return
    }
    for (const request of waiting) {
      const failure = readers.failureOf(request)
      if (failure !== undefined) this.passes.fail(request, failure)
    }
    if (encoded === null) return
    if (this.encoding === encoding) this.encoding = null
    this.running.enter(model, left(), encoded)
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
      if (this.passes.removed.has(request)) continue
      try {
        request.onEncoded?.(ofTokens)
      } catch (error) {
        this.passes.fail(request, error)
      }
    }
  }
}
