import { ApiError, badRequest } from '../http/api-error.js'

/** How much is remembered of the time that answers take, for `retry-after`: about the last 20 requests. */
const MEMORY = 20

/**
 * Bounds how many rows wait or run at once. A request counts as many as the model computes for it: prompts times
 * answers (or beams) each, texts to embed, answers to score. It is admitted whole, or refused.
 */
export class Admission {
  private admitted = 0
  /** Rows per second: a moving average over requests. */
  private rate: number | null = null

  constructor(
    private readonly most: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Rows that wait or run. */
  get size(): number {
    return this.admitted
  }

  /**
   * Admits a request of so many rows. Returns what must be called when it has ended. Throws a 429 if there is no
   * room now, and a 400 if there never is.
   */
  enter(rows: number): () => void {
    if (rows > this.most)
      throw badRequest(
        `the request asks for ${rows} answers or beams, and this server takes on at most ${this.most} at once`,
      )
    if (this.admitted + rows > this.most) throw this.full(rows)
    this.admitted += rows
    const [began, inside] = [this.now(), this.admitted]
    let hasLeft = false
    return () => {
      if (hasLeft) return
      hasLeft = true
      this.admitted -= rows
      const seconds = Math.max((this.now() - began) / 1000, 1e-3)
      // While this request was inside, about as many rows ended as were inside with it.
      const rate = inside / seconds
      this.rate = this.rate === null ? rate : this.rate + (rate - this.rate) / MEMORY
    }
  }

  private full(rows: number): ApiError {
    const wait = this.rate === null ? 1 : Math.ceil((this.admitted + rows - this.most) / this.rate)
    const seconds = Math.min(Math.max(wait, 1), 60)
    return new ApiError(
      `the server is busy: ${this.admitted} answers and beams wait or run, of at most ${this.most}. Try again in ${seconds} s`,
      {
        status: 429,
        type: 'rate_limit_error',
        code: 'queue_full',
        headers: { 'retry-after': String(seconds) },
      },
    )
  }
}
