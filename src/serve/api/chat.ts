import { z } from 'zod'
import type { AnswerToken } from '../../infer/answer-piece.js'
import { badRequest } from '../http/api-error.js'
import { EventStream } from '../http/event-stream.js'
import type { ServerEvent } from '../http/event-stream.js'
import { newId, secondsNow } from '../http/request-ids.js'
import { finishReason, usage } from './completion-answer.js'
import { chatLogprobs, toChatLogprobs } from './chat-logprobs.js'
import { messagesField, messagesOf } from './chat-messages.js'
import { formatConstraint, responseFormat } from './constraints.js'
import { answering, defineEndpoint } from './endpoint.js'
import { ignored, modelField, optional, unsupported, unsupportedUnlessEmpty } from './fields.js'
import { Generation } from './generation.js'
import { generationFields, MOST_LOGPROBS, sentOptions } from './generation-fields.js'
import { checkLength } from './prompts.js'
import { DONE, errorEvent } from './stream-events.js'
import { tokenExperts, toTokenExperts } from './token-experts.js'

const noTools = 'T5 models call no tools'
const onlyText = 'these models read and write text'

export const chatBody = z.strictObject({
  model: modelField,
  messages: messagesField.describe(
    "The server's chat template makes one text of them, which enters the encoder. By default: the texts of the roles system and developer, then the text of the last message, which must be the user's. Earlier turns are left out, since T5 and Flan-T5 answer single requests.",
  ),
  max_completion_tokens: optional(z.int().min(1)).describe(
    "The most tokens of an answer. Default: as the model's own defaults say, up to the server's limit.",
  ),
  max_tokens: optional(z.int().min(1)).describe('The older name of max_completion_tokens.'),
  logprobs: optional(z.boolean()).describe('Returns the log-probability of each token.'),
  top_logprobs: optional(z.int().min(0).max(MOST_LOGPROBS)).describe(
    'How many of the most probable tokens are returned for each place. Needs logprobs.',
  ),
  response_format: optional(responseFormat).describe('Restricts the answer to JSON.'),
  ...generationFields,
  metadata: ignored(z.record(z.string(), z.string()), 'nothing is stored'),
  safety_identifier: ignored(z.string(), 'nothing is kept about users'),
  prompt_cache_key: ignored(z.string(), 'no prompts are kept'),
  prompt_cache_retention: unsupported('no prompts are kept', ['in-memory', 'in_memory']),
  service_tier: unsupported('there is one tier', ['auto', 'default']),
  store: unsupported('answers are not stored', [false]),
  tools: unsupportedUnlessEmpty(noTools, 'array'),
  tool_choice: unsupported(noTools, ['none', 'auto']),
  parallel_tool_calls: unsupported(noTools, [true, false]),
  functions: unsupportedUnlessEmpty(noTools, 'array'),
  function_call: unsupported(noTools, ['none', 'auto']),
  modalities: optional(z.tuple([z.literal('text')], { error: `is not supported: ${onlyText}` })).describe(
    'Only ["text"].',
  ),
  audio: unsupported(onlyText),
  prediction: unsupported('answers are not predicted'),
  reasoning_effort: unsupported('these models do not reason before they answer', ['none']),
  verbosity: unsupported('use max_completion_tokens or min_tokens', ['medium']),
  web_search_options: unsupported('nothing is searched'),
  moderation: unsupported('nothing is moderated'),
  add_generation_prompt: unsupported('the chat template is the same for all requests', [true]),
  chat_template: unsupported("the template is the server's: switchyard serve --template FILE"),
})

const head = { id: z.string(), created: z.int(), model: z.string() }
const logprobs = chatLogprobs.nullable()

const chatAnswer = z.object({
  ...head,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
      logprobs,
      finish_reason: finishReason,
      experts: tokenExperts.optional(),
    }),
  ),
  usage,
})

const chatPart = z.object({
  ...head,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.object({
      index: z.int(),
      delta: z.object({ role: z.literal('assistant').optional(), content: z.string().optional() }),
      logprobs,
      finish_reason: finishReason.nullable(),
      experts: tokenExperts.optional(),
    }),
  ),
  usage: usage.nullish(),
})

export const chat = defineEndpoint({
  method: 'POST',
  path: '/v1/chat/completions',
  access: 'client',
  tag: 'OpenAI',
  summary: 'Answers the messages of a chat',
  body: chatBody,
  answers: {
    200: [
      { description: 'The answer, or n of them.', schema: chatAnswer },
      {
        description: 'With stream: parts of the answers, then [DONE].',
        schema: chatPart,
        contentType: 'text/event-stream',
      },
    ],
  },
  async handle(call) {
    const { body, server } = call
    const model = answering(call, body.model)
    const n = body.n ?? 1
    if (body.top_logprobs != null && !body.logprobs)
      throw badRequest('top_logprobs needs logprobs: true', 'top_logprobs')
    const maxTokensField = body.max_completion_tokens == null ? 'max_tokens' : 'max_completion_tokens'
    const logProbabilities = body.logprobs ? (body.top_logprobs ?? 0) : null
    const size = { maxTokens: body[maxTokensField], maxTokensField, answers: n, logProbabilities }
    const options = sentOptions(body, size, model.facts, formatConstraint(body.response_format))
    const input = server.chatTemplate(messagesOf(body.messages))
    checkLength('messages', input, model.facts)
    call.admit(Math.max(n, body.num_beams ?? 1))
    const generation = new Generation(call, model, [{ input, options }])
    const shared = { id: newId('chatcmpl'), created: secondsNow(), model: model.facts.name }
    const told = (tokens: readonly AnswerToken[]) => ({
      logprobs: body.logprobs ? toChatLogprobs(tokens) : null,
      ...(body.return_experts && { experts: toTokenExperts(tokens) }),
    })

    if (body.stream) return EventStream.begin(parts(), error => [errorEvent(error)])
    const [answers] = await generation.answers()
    return {
      ...shared,
      object: 'chat.completion',
      choices: answers.map(({ text, tokens, finish }, index) => ({
        index,
        message: { role: 'assistant', content: text, refusal: null },
        ...told(tokens),
        finish_reason: finish,
      })),
      usage: generation.usage,
    }

    async function* parts(): AsyncGenerator<ServerEvent, void, undefined> {
      const withUsage = body.stream_options?.include_usage === true
      const event = (choices: readonly object[], sum: object | null = null): ServerEvent => ({
        data: { ...shared, object: 'chat.completion.chunk', choices, ...(withUsage && { usage: sum }) },
      })
      const begun = new Set<number>()
      for await (const { index, text, tokens, finish } of generation.pieces()) {
        if (!begun.has(index)) {
          begun.add(index)
          const delta = { role: 'assistant', content: '' }
          yield event([{ index, delta, logprobs: null, finish_reason: null }])
        }
        if (text !== '' || body.logprobs || body.return_experts)
          yield event([{ index, delta: { content: text }, ...told(tokens), finish_reason: null }])
        if (finish !== null) yield event([{ index, delta: {}, logprobs: null, finish_reason: finish }])
      }
      if (withUsage) yield event([], generation.usage)
      yield DONE
    }
  },
})
