import { z } from 'zod'
import type { AnswerToken, ScoredToken } from '../../infer/answer-piece.js'

const scored = {
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.int()).nullable().describe('The UTF-8 of the token; null if it is a part of a character.'),
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

const toScored = ({ text, logProbability }: ScoredToken) => ({
  token: text,
  logprob: logProbability,
  bytes: text.includes('\uFFFD') ? null : [...Buffer.from(text)],
})
