import { AbortWatch } from './abort-watch.js'
import type { Request } from './request.js'
import type { Scheduler } from './scheduler.js'
import type { Search } from './search.js'

export interface RequestOptions {
  /** Ends the request, whose promise rejects with the signal's reason. */
  signal?: AbortSignal
  /** Called once when the input is encoded: see `Request.onEncoded`. */
  onEncoded?: Request['onEncoded']
  /** Called after every step of the request. */
  onStep?: () => void
}

/**
 * Runs a scheduler as long as it has work. Requests that are made in the same turn of the event loop start together.
 */
export class AnswerQueue {
  private isRunning = false
  private readonly signals = new AbortWatch()

  constructor(private readonly scheduler: Scheduler) {}

  /**
   * Resolves when the search is finished; its `answers` are complete then. Rejects with the signal's reason when it is
   * aborted, and with a ConfigError if the request is larger than the scheduler's limits.
   */
  run(inputs: readonly number[], search: Search, { signal, onEncoded, onStep }: RequestOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      let forget: (() => void) | undefined
      const request: Request = {
        inputs,
        search,
        onEncoded,
        onStep,
        onEnd: error => {
          forget?.()
          if (error === undefined) resolve()
          // oxlint-disable-next-line prefer-promise-reject-errors -- a custom search may throw any value
          else reject(error)
        },
      }
      this.scheduler.add(request)
      if (signal)
        forget = this.signals.add(signal, () => {
          this.scheduler.remove(request)
          // oxlint-disable-next-line prefer-promise-reject-errors -- a signal's reason may be any value
          reject(signal.reason)
        })
      if (!this.isRunning) {
        this.isRunning = true
        void Promise.resolve().then(() => this.work())
      }
    })
  }

  private async work(): Promise<void> {
    try {
      while (!this.scheduler.isIdle) await this.scheduler.step()
    } finally {
      this.isRunning = false
    }
  }
}
