import { z } from 'zod'
import type { ChatMessage } from './chat-template.js'
import { ignored, MOST_MESSAGES, optional, text, unsupported, unsupportedUnlessEmpty } from './fields.js'

const onlyText = 'must be a text, or an array of parts {"type": "text", "text": "..."}: these models read text'

/** Content of a message: a text, or texts in parts of one of these types. */
const contentOf = (...types: [string, ...string[]]) =>
  z.union(
    [
      text,
      z
        .array(
          z.strictObject({
            type: z.enum(types),
            text,
            annotations: unsupportedUnlessEmpty('texts have no annotations', 'array'),
            logprobs: unsupportedUnlessEmpty('they are not read', 'array'),
          }),
        )
        .min(1)
        .max(MOST_MESSAGES),
    ],
    { error: onlyText },
  )

const role = z.enum(['system', 'developer', 'user', 'assistant'], {
  error: 'must be system, developer, user or assistant: these models call no tools',
})

const name = ignored(z.string(), 'templates see roles and texts')

/** The messages of a chat. */
export const messagesField = z
  .array(
    z.strictObject({
      role,
      content: contentOf('text'),
      name,
      refusal: unsupported('it is not read'),
      audio: unsupported('these models read text'),
      tool_calls: unsupportedUnlessEmpty('these models call no tools', 'array'),
      function_call: unsupported('these models call no tools'),
    }),
  )
  .min(1)
  .max(MOST_MESSAGES)

/** The items of the input of a response. */
export const itemsField = z
  .array(
    z.strictObject({
      type: optional(z.literal('message', { error: 'must be message: these models call no tools' })),
      role,
      content: contentOf('input_text', 'output_text'),
      id: ignored(z.string(), 'nothing is stored'),
      status: ignored(z.string(), 'nothing is stored'),
      phase: ignored(z.string(), 'templates see roles and texts'),
    }),
  )
  .min(1)
  .max(MOST_MESSAGES)

interface Message {
  readonly role: string
  readonly content: string | readonly { readonly text: string }[]
}

/** Messages with one text each: parts are joined by line breaks. */
export const messagesOf = (messages: readonly Message[]): ChatMessage[] =>
  messages.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : content.map(part => part.text).join('\n'),
  }))
