import { EventStream } from '../http/event-stream.js'
import { messagesOf } from './chat-messages.js'
import type { ChatMessage } from './chat-template.js'
import { formatConstraint } from './constraints.js'
import { answering, defineEndpoint } from './endpoint.js'
import { Generation } from './generation.js'
import { sentOptions } from './generation-fields.js'
import { checkLength } from './prompts.js'
import { responseBody } from './response-body.js'
import type { ResponseBody } from './response-body.js'
import { ResponseObject, responseAnswer } from './response-object.js'
import { NumberedEvents, responseEvent, responseEvents } from './response-events.js'

export const responses = defineEndpoint({
  method: 'POST',
  path: '/v1/responses',
  access: 'client',
  tag: 'OpenAI',
  summary: 'Answers an input, or the messages of a chat',
  description: 'Responses are not stored: each request has the whole conversation.',
  body: responseBody,
  answers: {
    200: [
      { description: 'The answer.', schema: responseAnswer },
      {
        description: 'With stream: events, of which the last is response.completed or response.incomplete.',
        schema: responseEvent,
        contentType: 'text/event-stream',
      },
    ],
  },
  async handle(call) {
    const { body, server } = call
    const model = answering(call, body.model)
    const size = {
      maxTokens: body.max_output_tokens,
      maxTokensField: 'max_output_tokens',
      answers: 1,
      logProbabilities: null,
    }
    const options = sentOptions(body, size, model.facts, formatConstraint(body.text?.format))
    const input = server.chatTemplate(messages(body))
    checkLength('input', input, model.facts)
    call.admit(1)
    const generation = new Generation(call, model, [{ input, options }])
    const response = new ResponseObject(body, model.facts.name)
    if (body.stream) {
      const numbered = new NumberedEvents(response)
      return EventStream.begin(numbered.counted(responseEvents(response, generation)), error => numbered.failure(error))
    }
    const [[{ text: answer, finish }]] = await generation.answers()
    return response.ended(answer, finish!, generation.usage)
  },
})

function messages({ instructions, input }: ResponseBody): ChatMessage[] {
  const asked = typeof input === 'string' ? [{ role: 'user', content: input }] : messagesOf(input)
  return instructions == null ? asked : [{ role: 'system', content: instructions }, ...asked]
}
