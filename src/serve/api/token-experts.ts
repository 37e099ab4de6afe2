import { z } from 'zod'
import type { AnswerToken } from '../../infer/answer-piece.js'

/** `experts` of a choice, if `return_experts` asks for it. */
export const tokenExperts = z
  .array(
    z.object({
      token_id: z.int(),
      token: z.string(),
      experts: z
        .array(z.array(z.int()))
        .nullable()
        .describe('For each sparse layer of its stack, in order, the experts that the token met. null: none.'),
    }),
  )
  .describe('Tokens with their experts, if return_experts is true.')

export const toTokenExperts = (tokens: readonly AnswerToken[]): z.output<typeof tokenExperts> =>
  tokens.map(({ id, text, experts }) => ({
    token_id: id,
    token: text,
    experts: experts?.map(layer => [...layer]) ?? null,
  }))
