import type { CallMessage, FromModel, Method, Calls, Reply, ToModel } from './messages.js'
import { toSent } from './sent-errors.js'
import type { ServedModel } from './served-model.js'

/**
 * Answers the messages that a `ModelProcess` sends, with a model of this process. All replies that a step of the
 * scheduler brings go in one message.
 */
export class ModelHost {
  /** The calls that have not ended. */
  private readonly running = new Map<number, AbortController>()
  private replies: Reply[] = []

  constructor(
    private readonly model: ServedModel,
    private readonly send: (message: FromModel) => void,
  ) {}

  receive(message: ToModel): void {
    if (message.kind === 'call') void this.answer(message)
    else if (message.kind === 'cancel') this.running.get(message.id)?.abort()
  }

  private async answer(call: CallMessage): Promise<void> {
    const { id } = call
    const controller = new AbortController()
    const { signal } = controller
    this.running.set(id, controller)
    try {
      const result = await this.run(call, signal)
      if (!signal.aborted) this.reply({ id, kind: 'done', result })
    } catch (error) {
      if (!signal.aborted) this.reply({ id, kind: 'error', error: toSent(error) })
    } finally {
      this.running.delete(id)
    }
  }

  private async run(call: CallMessage, signal: AbortSignal): Promise<Calls[Method]['result']> {
    const { model } = this
    switch (call.method) {
      case 'generate':
        for await (const event of model.generate(call.asked, signal)) this.reply({ id: call.id, kind: 'event', event })
        return undefined
      case 'score':
        return model.score(call.asked, signal)
      case 'embed':
        return model.embed(call.asked, signal)
      case 'tokenize':
        return model.tokenize(call.asked.text, call.asked.as)
      case 'detokenize':
        return model.detokenize(call.asked.tokens, call.asked.as)
      case 'statistics':
        return model.statistics()
    }
  }

  /**
   * Adds a reply to the next message. It is sent when no microtask is left: then all answers have got their tokens of
   * the step, and the next step does not compute yet, which ONNX Runtime does in a later task.
   */
  private reply(reply: Reply): void {
    this.replies.push(reply)
    if (this.replies.length > 1) return
    process.nextTick(() => {
      const { replies } = this
      this.replies = []
      this.send({ kind: 'replies', replies })
    })
  }
}
