import { Template } from '@huggingface/jinja'
import { ConfigError } from '../../base/errors.js'
import { badRequest } from '../http/api-error.js'

export interface ChatMessage {
  readonly role: string
  readonly content: string
}

/** Makes the one text that the encoder reads of the messages of a chat. */
export type ChatTemplate = (messages: readonly ChatMessage[]) => string

/**
 * The system's texts, then the last user's text, each on a line. T5, Flan-T5 and models fine-tuned on pairs of texts
 * were trained on single requests: turns before the last would be read as a part of it.
 */
export const DEFAULT_CHAT_TEMPLATE = `
{%- if messages[-1].role != 'user' %}{{ raise_exception('the last message must be of the role user') }}{% endif %}
{%- for message in messages if message.role in ['system', 'developer'] %}{{ message.content + '\\n' }}{% endfor %}
{{- messages[-1].content }}`

/**
 * Compiles a Jinja template, as Hugging Face's chat templates are. It sees `messages` (each with `role` and `content`,
 * a text) and `add_generation_prompt`. Throws a ConfigError if it is not valid.
 */
export function chatTemplate(source: string = DEFAULT_CHAT_TEMPLATE): ChatTemplate {
  let template: Template
  try {
    template = new Template(source)
  } catch (error) {
    throw new ConfigError(`the chat template is not valid Jinja: ${(error as Error).message}`)
  }
  return messages => {
    try {
      return template.render({ messages, add_generation_prompt: true, bos_token: '', eos_token: '' })
    } catch (error) {
      throw badRequest(`the chat template of this server refuses the messages: ${(error as Error).message}`, 'messages')
    }
  }
}
