import { z } from 'zod'
import type { AnswerToken } from '../../infer/answer-piece.js'
import { completionLogprobs, textLength, toCompletionLogprobs } from './completion-logprobs.js'
import { tokenExperts, toTokenExperts } from './token-experts.js'

export const usage = z.object({
  prompt_tokens: z.int().describe('Tokens that entered the encoder, EOS included, and given beginnings of answers.'),
  completion_tokens: z.int().describe('Tokens of all answers, EOS included.'),
  total_tokens: z.int(),
})

export const finishReason = z
  .enum(['stop', 'length'])
  .describe('stop: the answer ended by itself or before a stop text. length: it reached the most tokens.')

const choice = z.object({
  index: z.int().describe('Of several prompts with n answers each: prompt * n + answer.'),
  text: z.string(),
  logprobs: completionLogprobs.nullable(),
  finish_reason: finishReason.nullable(),
  experts: tokenExperts.optional(),
})

const common = {
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
}

const input_experts = z
  .array(tokenExperts)
  .optional()
  .describe(
    'If return_experts is true: for each prompt, its tokens with the experts of the encoder. A stream ends with it.',
  )

export const completion = z.object({ ...common, choices: z.array(choice), usage, input_experts })
export const completionPart = z.object({ ...common, choices: z.array(choice), usage: usage.nullish(), input_experts })

export type Choice = z.output<typeof choice>

/** What a request wants to know about the tokens of its answers. */
export interface Shown {
  readonly logprobs: boolean
  readonly experts: boolean
}

/** Makes the parts of one choice, which know how much text went before them. */
export class ChoiceParts {
  private offset = 0

  constructor(
    private readonly index: number,
    private readonly shown: Shown,
  ) {}

  part(text: string, tokens: readonly AnswerToken[], finish_reason: Choice['finish_reason']): Choice {
    const { index, shown, offset } = this
    this.offset += textLength(tokens)
    return {
      index,
      text,
      logprobs: shown.logprobs ? toCompletionLogprobs(tokens, offset) : null,
      finish_reason,
      ...(shown.experts && { experts: toTokenExperts(tokens) }),
    }
  }
}
