import { z } from 'zod'
import type { AnswerToken, ScoredToken } from '../../infer/answer-piece.js'
import { bytesOfToken, tokenName } from './token-names.js'

const scored = {
  token: z.string(),
  logprob: z.number(),
  bytes: z
    .array(z.int())
    .nullable()
    .describe('The UTF-8 of the token. Those of the tokens of a text, joined, are the UTF-8 of the text.'),
}

/** `logprobs` of a choice of a chat. */
export const chatLogprobs = z.object({
  content: z.array(z.object({ ...scored, top_logprobs: z.array(z.object(scored)) })),
  refusal: z.null(),
})

export const toChatLogprobs = (tokens: readonly AnswerToken[]): z.output<typeof chatLogprobs> => ({
  content: tokens.map(token => ({
    ...toScored({ ...token, logProbability: token.logProbability ?? 0 }),
    top_logprobs: (token.top ?? []).map(toScored),
  })),
  refusal: null,
})

const toScored = (token: Omit<ScoredToken, 'id'>) => ({
  token: tokenName(token),
  logprob: token.logProbability,
  bytes: bytesOfToken(token),
})
