import { z } from 'zod'
import { defineEndpoint, modelOf } from './endpoint.js'
import { modelField, MOST_TOKENS, optional, text, tokenId, unsupported } from './fields.js'

const as = optional(z.enum(['input', 'answer'])).describe(
  'Whether the tokens are those of an input or of an answer, which may have different vocabularies. Default: input.',
)

export const tokenizeBody = z.strictObject({
  model: modelField,
  prompt: text.max(MOST_TOKENS, {
    error: `has more than ${MOST_TOKENS} characters: send it in parts`,
  }),
  as,
  add_special_tokens: unsupported('EOS is always added, as the encoder reads it', [true]),
  return_token_strs: optional(z.boolean()).describe('Also returns the text of each token.'),
})

export const tokenize = defineEndpoint({
  method: 'POST',
  path: '/tokenize',
  access: 'client',
  tag: 'vLLM',
  summary: 'The tokens of a text, EOS included',
  body: tokenizeBody,
  answers: {
    200: [
      {
        description: 'The tokens.',
        schema: z.object({
          count: z.int(),
          max_model_len: z.int().nullable(),
          tokens: z.array(z.int()),
          token_strs: z.array(z.string()).nullable(),
        }),
      },
    ],
  },
  async handle(call) {
    const { body } = call
    const model = modelOf(call, body.model)
    const { maxInputTokens } = model.facts
    call.admit(1)
    const tokens = await model.tokenize(body.prompt, body.as ?? 'input')
    return {
      count: tokens.length,
      max_model_len: Number.isFinite(maxInputTokens) ? maxInputTokens : null,
      tokens: tokens.map(({ id }) => id),
      token_strs: body.return_token_strs ? tokens.map(token => token.text) : null,
    }
  },
})

export const detokenizeBody = z.strictObject({
  model: modelField,
  tokens: z.array(tokenId).max(MOST_TOKENS, { error: `has more than ${MOST_TOKENS} tokens: send them in parts` }),
  as,
})

export const detokenize = defineEndpoint({
  method: 'POST',
  path: '/detokenize',
  access: 'client',
  tag: 'vLLM',
  summary: 'The text of tokens',
  body: detokenizeBody,
  answers: { 200: [{ description: 'The text.', schema: z.object({ prompt: z.string() }) }] },
  async handle(call) {
    const { body } = call
    const model = modelOf(call, body.model)
    call.admit(1)
    return { prompt: await model.detokenize(body.tokens, body.as ?? 'input') }
  },
})
