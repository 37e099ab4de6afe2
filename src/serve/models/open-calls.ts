import { AbortWatch } from '../../infer/abort-watch.js'
import { SwitchyardError } from '../../base/errors.js'

/** The running calls of a model, which its closing ends. */
export class OpenCalls {
  private readonly running = new Set<AbortController>()
  private readonly signals = new AbortWatch()
  private closedBy: SwitchyardError | null = null

  constructor(private readonly name: string) {}

  /** A signal that is aborted with `signal`, or when the model is closed. Call `leave` when the call has ended. */
  enter(signal: AbortSignal): { readonly signal: AbortSignal; leave(): void } {
    if (this.closedBy) throw this.closedBy
    signal.throwIfAborted()
    const controller = new AbortController()
    const forget = this.signals.add(signal, () => controller.abort(signal.reason))
    this.running.add(controller)
    const leave = (): void => {
      forget()
      // What the call has begun ends with it: of several answers to score, those after one that failed.
      controller.abort()
      this.running.delete(controller)
    }
    return { signal: controller.signal, leave }
  }

  /** Runs a call. */
  async run<T>(given: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal, leave } = this.enter(given)
    try {
      return await call(signal)
    } finally {
      leave()
    }
  }

  /** Ends all calls with an error. */
  close(): void {
    this.closedBy ??= new SwitchyardError(`the model ${this.name} is closed`)
    for (const controller of this.running) controller.abort(this.closedBy)
  }
}
