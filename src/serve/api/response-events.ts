import { z } from 'zod'
import type { FinishReason } from '../../infer/answer-piece.js'
import { toApiError } from '../http/api-error.js'
import type { ServerEvent } from '../http/event-stream.js'
import type { Generation } from './generation.js'
import { outputText } from './response-object.js'
import type { ResponseObject } from './response-object.js'

/** An event of a streamed response, as the document describes it. */
export const responseEvent = z
  .object({
    type: z.enum([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
      'response.incomplete',
      'response.failed',
      'error',
    ]),
    sequence_number: z.int(),
  })
  .loose()

type Unnumbered = { readonly type: z.output<typeof responseEvent>['type'] } & Readonly<Record<string, unknown>>

/** The events of a response, from its beginning to its end. */
export async function* responseEvents(
  response: ResponseObject,
  generation: Generation,
): AsyncGenerator<Unnumbered, void, undefined> {
  const pieces = generation.pieces()
  let next = await pieces.next() // An error before the first piece is told by the HTTP status.
  const at = { item_id: response.messageId, output_index: 0, content_index: 0 }
  yield { type: 'response.created', response: response.begun() }
  yield { type: 'response.in_progress', response: response.begun() }
  yield { type: 'response.output_item.added', output_index: 0, item: response.message([], 'in_progress') }
  yield { type: 'response.content_part.added', ...at, part: outputText('') }
  let text = ''
  let finish: FinishReason = 'stop'
  try {
    for (; !next.done; next = await pieces.next()) {
      const piece = next.value
      text += piece.text
      finish = piece.finish ?? finish
      if (piece.text !== '') yield { type: 'response.output_text.delta', ...at, delta: piece.text, logprobs: [] }
    }
  } finally {
    await pieces.return()
  }
  const ended = response.ended(text, finish, generation.usage)
  yield { type: 'response.output_text.done', ...at, text, logprobs: [] }
  yield { type: 'response.content_part.done', ...at, part: outputText(text) }
  yield { type: 'response.output_item.done', output_index: 0, item: ended.output[0] }
  yield { type: ended.status === 'completed' ? 'response.completed' : 'response.incomplete', response: ended }
}

/** Numbers the events of a response, and goes on with the numbers if it fails. */
export class NumberedEvents {
  private number = 0

  constructor(private readonly response: ResponseObject) {}

  async *counted(events: AsyncIterable<Unnumbered>): AsyncGenerator<ServerEvent, void, undefined> {
    for await (const event of events) yield this.numbered(event)
  }

  /** The last events of a stream that fails: OpenAI's clients throw at the first. */
  failure(error: unknown): readonly ServerEvent[] {
    const { body } = toApiError(error).error
    const { message, code, param } = body.error
    return [
      this.numbered({ type: 'error', code, message, param, ...body }),
      this.numbered({ type: 'response.failed', response: this.response.failed(message) }),
    ]
  }

  private numbered(event: Unnumbered): ServerEvent {
    return { event: event.type, data: { ...event, sequence_number: this.number++ } }
  }
}
