import { z } from 'zod'
import type { AnswerToken } from '../../infer/answer-piece.js'
import { completionTokenName } from './token-names.js'

/** `logprobs` of a completion: four lists with an entry for each token. */
export const completionLogprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
  text_offset: z.array(z.int()),
})

export type CompletionLogprobs = z.output<typeof completionLogprobs>

/**
 * The log-probabilities of tokens that begin at `offset` of a choice's text. The token itself is always among the most
 * probable ones, as in OpenAI's API. Tokens of the encoder's input have none: null.
 */
export function toCompletionLogprobs(tokens: readonly AnswerToken[], offset: number): CompletionLogprobs {
  const text_offset: number[] = []
  let end = offset
  for (const { text } of tokens) {
    text_offset.push(end)
    end += text.length
  }
  return {
    tokens: tokens.map(completionTokenName),
    token_logprobs: tokens.map(({ logProbability }) => logProbability ?? null),
    top_logprobs: tokens.map(topOf),
    text_offset,
  }
}

function topOf({ text, bytes, logProbability, top = [] }: AnswerToken): Record<string, number> | null {
  if (logProbability === undefined) return null
  const byName = new Map<string, number>()
  // Tokens with the same name: the most probable one counts.
  for (const token of [...top, { text, bytes, logProbability }]) {
    const name = completionTokenName(token)
    if (!byName.has(name)) byName.set(name, token.logProbability)
  }
  // Own properties, also for a token such as "__proto__".
  return Object.fromEntries(byName)
}

/** How many UTF-16 units the texts of tokens have. */
export const textLength = (tokens: readonly AnswerToken[]): number =>
  tokens.reduce((sum, { text }) => sum + text.length, 0)
