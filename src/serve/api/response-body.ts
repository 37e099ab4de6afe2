import { z } from 'zod'
import { itemsField } from './chat-messages.js'
import { textFormat } from './constraints.js'
import { ignored, modelField, optional, text, unsupported, unsupportedUnlessEmpty } from './fields.js'
import { samplingFields } from './generation-fields.js'

const noState = 'answers are not stored: send the whole conversation as input'
const noTools = 'T5 models call no tools'

export const responseBody = z.strictObject({
  model: modelField,
  input: z
    .union([text, itemsField], { error: 'must be a text, or an array of messages' })
    .describe('A text, or messages, of which the chat template makes one text: see /v1/chat/completions.'),
  instructions: optional(text).describe("Goes before the messages, as the system's."),
  max_output_tokens: optional(z.int().min(1)).describe(
    "The most tokens of the answer. Default: as the model's own defaults say, up to the server's limit.",
  ),
  ...samplingFields,
  stream: optional(z.boolean()).describe('Sends the answer in parts, as server-sent events.'),
  stream_options: optional(
    z.strictObject({ include_obfuscation: unsupported('parts are sent as they are', [false]) }),
  ).describe('Has no effect.'),
  text: optional(
    z.strictObject({
      format: optional(textFormat).describe('Restricts the answer to JSON.'),
      verbosity: unsupported('use max_output_tokens', ['medium']),
    }),
  ).describe('The form of the answer.'),
  metadata: optional(z.record(z.string(), z.string())).describe('Returned with the answer.'),
  user: ignored(z.string(), 'nothing is kept about users'),
  safety_identifier: ignored(z.string(), 'nothing is kept about users'),
  prompt_cache_key: ignored(z.string(), 'no prompts are kept'),
  prompt_cache_retention: unsupported('no prompts are kept', ['in-memory', 'in_memory']),
  store: unsupported(noState, [false]),
  previous_response_id: unsupported(noState),
  conversation: unsupported(noState),
  background: unsupported(noState, [false]),
  prompt: unsupported('there are no stored prompts'),
  context_management: unsupportedUnlessEmpty('inputs are not shortened', 'array'),
  truncation: unsupported('inputs are not cut: shorten the input', ['disabled']),
  include: unsupportedUnlessEmpty('nothing more is known; /v1/completions returns log-probabilities', 'array'),
  top_logprobs: unsupported('/v1/chat/completions and /v1/completions return log-probabilities', [0]),
  tools: unsupportedUnlessEmpty(noTools, 'array'),
  tool_choice: unsupported(noTools, ['none', 'auto']),
  parallel_tool_calls: unsupported(noTools, [true, false]),
  max_tool_calls: unsupported(noTools),
  reasoning: unsupportedUnlessEmpty('these models do not reason before they answer', 'object'),
  service_tier: unsupported('there is one tier', ['auto', 'default']),
  moderation: unsupported('nothing is moderated'),
})

export type ResponseBody = z.output<typeof responseBody>
