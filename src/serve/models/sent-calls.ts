import type { AbortWatch } from '../../infer/abort-watch.js'
import type { Calls, Method, Reply, ToModel } from './messages.js'
import { fromSent } from './sent-errors.js'
import type { GenerateEvent } from './served-model.js'

/** A call that has been sent, and is not answered yet. */
interface SentCall {
  onEvent(event: GenerateEvent): void
  onDone(result: Calls[Method]['result']): void
  onError(error: unknown): void
}

/** The calls that have been sent to a model's process. */
export class SentCalls {
  private readonly calls = new Map<number, SentCall>()
  private nextId = 0

  constructor(
    private readonly send: (message: ToModel) => void,
    private readonly signals: AbortWatch,
  ) {}

  /** Calls a method of the model. When the signal is aborted, the call is cancelled and rejects with its reason. */
  async call<M extends Method>(
    method: M,
    asked: Calls[M]['asked'],
    signal?: AbortSignal,
    onEvent: (event: GenerateEvent) => void = () => undefined,
  ): Promise<Calls[M]['result']> {
    const id = this.nextId++
    let forget: (() => void) | undefined
    try {
      return await new Promise<Calls[M]['result']>((resolve, reject) => {
        this.calls.set(id, { onEvent, onDone: resolve as SentCall['onDone'], onError: reject })
        if (signal)
          forget = this.signals.add(signal, () => {
            this.send({ kind: 'cancel', id })
            reject(signal.reason as Error)
          })
        this.send({ kind: 'call', id, method, asked } as ToModel)
      })
    } finally {
      forget?.()
      this.calls.delete(id)
    }
  }

  /** Gives an answer, or a part of one, to its call. */
  receive(reply: Reply): void {
    const call = this.calls.get(reply.id) // undefined: it was cancelled
    if (reply.kind === 'event') call?.onEvent(reply.event)
    else if (reply.kind === 'done') call?.onDone(reply.result)
    else call?.onError(fromSent(reply.error))
  }

  /** Rejects all calls. */
  fail(error: unknown): void {
    const calls = Array.from(this.calls.values())
    this.calls.clear()
    for (const call of calls) call.onError(error)
  }
}
