import { endianness } from 'node:os'
import { z } from 'zod'
import { badRequest } from '../http/api-error.js'
import { defineEndpoint, modelOf } from './endpoint.js'
import { ids, ignored, MOST_INPUTS, modelField, optional, text, unsupported } from './fields.js'
import { checkLength, inputsOf } from './prompts.js'

export const embeddingBody = z.strictObject({
  model: modelField,
  input: z
    .union([text, ids, z.array(text).min(1).max(MOST_INPUTS), z.array(ids).min(1).max(MOST_INPUTS)], {
      error: `must be a text or an array of token ids, or an array of 1 to ${MOST_INPUTS} of them`,
    })
    .describe(
      `A text, or up to ${MOST_INPUTS}. Token ids enter the encoder as they are, EOS included: they must be of the model's own vocabulary.`,
    ),
  encoding_format: optional(z.enum(['float', 'base64'])).describe(
    'float: numbers. base64: float32, little-endian. Default: float.',
  ),
  dimensions: optional(z.int().min(1)).describe("Only the size of the model's vectors."),
  prompt_name: optional(z.string()).describe(
    "The name of one of the model's prompts, which goes before each text. Default: the model's default prompt. Empty: none.",
  ),
  user: ignored(z.string(), 'nothing is kept about users'),
  truncate_prompt_tokens: unsupported("texts are cut at the model's own limit"),
})

const embeddingAnswer = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
})

export const embeddings = defineEndpoint({
  method: 'POST',
  path: '/v1/embeddings',
  access: 'client',
  tag: 'OpenAI',
  summary: 'Vectors of texts',
  body: embeddingBody,
  answers: { 200: [{ description: 'A vector for each text, in their order.', schema: embeddingAnswer }] },
  async handle(call) {
    const { body, signal, server } = call
    const model = modelOf(call, body.model)
    const { dimension, name } = model.facts
    if (dimension === null)
      throw badRequest(
        `the model ${name} is an encoder-decoder, which answers texts: /v1/embeddings needs a model that is an encoder alone, such as sentence-t5-base. On the command line, switchyard embed makes vectors with the encoder of any model`,
        'model',
      )
    if (body.dimensions != null && body.dimensions !== dimension)
      throw badRequest(
        `dimensions is ${body.dimensions}, and vectors of the model ${name} have ${dimension}`,
        'dimensions',
      )
    const texts = inputsOf(body.input)
    texts.forEach(each => checkLength('input', each, model.facts))
    call.admit(texts.length)
    const prompt = body.prompt_name === '' ? null : (body.prompt_name ?? undefined)
    const { vectors, tokens } = await model.embed({ texts, prompt }, signal)
    const count = tokens.reduce((sum, each) => sum + each, 0)
    server.metrics.embedded(name, count)
    call.note({ prompt_tokens: count })
    const encode = body.encoding_format === 'base64' ? base64 : (vector: Float32Array) => Array.from(vector)
    return {
      object: 'list',
      data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
      model: name,
      usage: { prompt_tokens: count, total_tokens: count },
    }
  },
})

function base64(vector: Float32Array): string {
  const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
  return (endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32()).toString('base64')
}
