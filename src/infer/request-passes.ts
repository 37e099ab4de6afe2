import type { PagedExperts } from './paged-experts.js'
import type { ExpertReaders } from './paging/readers.js'
import type { Request } from './request.js'

/** Runs the model for requests, one pass at a time, and keeps which requests were removed meanwhile. */
export class RequestPasses {
  /** Requests that run or are being encoded, and are to leave at the next step. */
  readonly removed = new Set<Request>()
  /** The requests of the last pass: an encoding, or a step of the decoder. */
  private readers: ExpertReaders<Request> | null = null

  /** `experts`: those of the model, if they are read when tokens meet them. */
  constructor(private readonly experts?: Pick<PagedExperts, 'during'>) {}

  /** Lets a request leave at the next step. Experts that only it waits for are not read any more. */
  remove(request: Request): void {
    this.removed.add(request)
    this.readers?.leave(request)
  }

  /**
   * Runs a pass for requests. If experts are read, those of a request that leaves are not, and a request whose expert
   * cannot be read fails alone.
   */
  async run<T>(readers: ExpertReaders<Request>, pass: () => Promise<T>): Promise<T> {
    this.readers = readers
    return this.experts ? this.experts.during(readers, pass) : pass()
  }

  /** Why an expert of a request could not be read in the last pass. */
  failureOf(request: Request): unknown {
    return this.readers?.failureOf(request)
  }

  /** Ends a request that has no rows with an error, unless it was removed. */
  fail(request: Request, error: unknown): void {
    if (this.removed.has(request)) return
    this.remove(request)
    request.onEnd(error)
  }
}
