import { z } from 'zod'
import type { FinishReason } from '../../infer/answer-piece.js'
import { newId, secondsNow } from '../http/request-ids.js'
import type { Usage } from './generation.js'
import type { ResponseBody } from './response-body.js'

const part = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.unknown()).max(0),
  logprobs: z.array(z.unknown()).max(0),
})

const message = z.object({
  id: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  status: z.enum(['in_progress', 'completed', 'incomplete']),
  content: z.array(part),
})

const responseUsage = z.object({
  input_tokens: z.int(),
  input_tokens_details: z.object({ cached_tokens: z.literal(0) }),
  output_tokens: z.int(),
  output_tokens_details: z.object({ reasoning_tokens: z.literal(0) }),
  total_tokens: z.int(),
})

/** The object of OpenAI's Responses API. */
export const responseAnswer = z.object({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.int(),
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  model: z.string(),
  output: z.array(message),
  parallel_tool_calls: z.literal(false),
  previous_response_id: z.null(),
  store: z.literal(false),
  temperature: z.number().nullable(),
  text: z.object({ format: z.object({ type: z.string() }).loose() }),
  tool_choice: z.literal('none'),
  tools: z.array(z.unknown()).max(0),
  top_p: z.number().nullable(),
  truncation: z.literal('disabled'),
  usage: responseUsage.nullable(),
  metadata: z.record(z.string(), z.string()),
})

export type Response = z.output<typeof responseAnswer>
export type ResponseMessage = z.output<typeof message>
export type ResponsePart = z.output<typeof part>

/** The response to one request, at its beginning and at its end. */
export class ResponseObject {
  private readonly common
  readonly messageId = newId('msg')

  constructor(body: ResponseBody, model: string) {
    this.common = {
      id: newId('resp'),
      object: 'response',
      created_at: secondsNow(),
      error: null,
      incomplete_details: null,
      instructions: body.instructions ?? null,
      max_output_tokens: body.max_output_tokens ?? null,
      model,
      parallel_tool_calls: false,
      previous_response_id: null,
      store: false,
      temperature: body.temperature ?? null,
      text: { format: { ...(body.text?.format ?? { type: 'text' }) } },
      tool_choice: 'none',
      tools: [],
      top_p: body.top_p ?? null,
      truncation: 'disabled',
      usage: null,
      metadata: body.metadata ?? {},
    } as const
  }

  begun(): Response {
    return { ...this.common, status: 'in_progress', output: [], tools: [] }
  }

  ended(text: string, finish: FinishReason, usage: Usage): Response {
    const isCut = finish === 'length'
    return {
      ...this.common,
      status: isCut ? 'incomplete' : 'completed',
      incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
      output: [this.message([outputText(text)], isCut ? 'incomplete' : 'completed')],
      tools: [],
      usage: {
        input_tokens: usage.prompt_tokens,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: usage.completion_tokens,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: usage.total_tokens,
      },
    }
  }

  failed(message: string): Response {
    return { ...this.begun(), status: 'failed', error: { code: 'server_error', message } }
  }

  message(content: ResponsePart[], status: ResponseMessage['status']): ResponseMessage {
    return { id: this.messageId, type: 'message', role: 'assistant', status, content }
  }
}

export const outputText = (text: string): ResponsePart => ({ type: 'output_text', text, annotations: [], logprobs: [] })
