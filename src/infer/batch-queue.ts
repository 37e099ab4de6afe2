import type { ModelParams } from '../model/types.js'
import type { Generator } from './generate.js'
import { checkNext } from './search.js'
import type { Search } from './search.js'

export interface QueueOptions {
  /**
   * The most rows in one batch (a search needs one row, or one for each beam). A larger search gets a batch of its own.
   */
  maxRows: number
}

export interface RequestOptions {
  signal?: AbortSignal
  /** Called after every step of the request's batch. */
  onStep?: () => void
}

interface Request {
  /** Token ids of the input, EOS included. */
  readonly inputs: readonly number[]
  readonly search: Search
  readonly signal: AbortSignal | undefined
  readonly onStep: (() => void) | undefined
  /** Settles the request's promise; later calls have no effect. */
  settle(error?: unknown): void
}

/**
 * Runs searches in batches. Requests that arrive while a batch is running wait, and share the next batch; requests that
 * are made in the same turn of the event loop share the first.
 */
export class BatchQueue {
  private readonly waiting: Request[] = []
  private running: Promise<void> | null = null
  /** Signals that have a listener already. */
  private readonly watched = new WeakSet<AbortSignal>()

  constructor(
    private readonly generate: Generator,
    private readonly params: ModelParams,
    private readonly options: QueueOptions,
  ) {}

  /**
   * Resolves when the search is finished; its `answers` are complete then. Rejects with the signal's reason when it is
   * aborted.
   */
  run(inputs: readonly number[], search: Search, { signal, onStep }: RequestOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const settle = (error?: unknown): void => {
        if (error === undefined) resolve()
        // oxlint-disable-next-line prefer-promise-reject-errors -- a signal's reason may be any value
        else reject(error)
      }
      const request: Request = { inputs, search, signal, onStep, settle }
      if (signal) this.watch(signal)
      this.waiting.push(request)
      this.running ??= Promise.resolve().then(() => this.runBatches())
    })
  }

  /**
   * Rejects the waiting requests of a signal when it is aborted. (A running request leaves its batch at the next step:
   * see `settling`.) Many requests may share a signal, which gets one listener for all of them.
   */
  private watch(signal: AbortSignal): void {
    if (this.watched.has(signal)) return
    this.watched.add(signal)
    const onAbort = (): void => {
      const aborted = this.waiting.filter(request => request.signal === signal)
      this.waiting.splice(0, this.waiting.length, ...this.waiting.filter(request => request.signal !== signal))
      for (const { settle } of aborted) settle(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
  }

  private async runBatches(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.nextBatch()
      try {
        await this.generate(
          this.params,
          batch.map(request => request.inputs),
          batch.map(settling),
          { onStep: () => batch.forEach(request => request.onStep?.()) },
        )
        // A custom search may not have noticed that the model's limit of tokens is reached.
        for (const { settle } of batch) settle()
      } catch (error) {
        for (const { settle } of batch) settle(error)
      }
    }
    this.running = null
  }

  /** Removes the next batch from the queue: as many requests as fit, at least one. */
  private nextBatch(): Request[] {
    let rows = 0
    const count = this.waiting.findIndex(({ search }, i) => (rows += search.rows) > this.options.maxRows && i > 0)
    return this.waiting.splice(0, count < 0 ? this.waiting.length : count)
  }
}

/**
 * The request's search, which also settles the request as soon as the search finishes, fails or is aborted. The
 * remaining searches of the batch continue.
 */
const settling = ({ search, signal, settle }: Request): Search => ({
  rows: search.rows,
  next: logits => {
    try {
      signal?.throwIfAborted()
      const next = search.next(logits)
      if (next === null) settle()
      else checkNext(next, search.rows, logits.length / search.rows)
      return next
    } catch (error) {
      settle(error)
      return null
    }
  },
  answers: () => search.answers(),
})
