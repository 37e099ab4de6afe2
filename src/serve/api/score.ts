import { z } from 'zod'
import { badRequest } from '../http/api-error.js'
import { newId, secondsNow } from '../http/request-ids.js'
import type { Input } from '../models/served-model.js'
import { completionLogprobs, toCompletionLogprobs } from './completion-logprobs.js'
import { answering, defineEndpoint } from './endpoint.js'
import { input, modelField, MOST_INPUTS, optional, text } from './fields.js'
import { MOST_LOGPROBS } from './generation-fields.js'
import { checkLength } from './prompts.js'

const oneOrMore = z.union([text, z.array(input).min(1).max(MOST_INPUTS)], {
  error: `must be a text, or an array of 1 to ${MOST_INPUTS} texts or arrays of token ids`,
})

const scoreBody = z.strictObject({
  model: modelField,
  text_1: oneOrMore.describe('An input, or several. One input goes with each answer.'),
  text_2: oneOrMore.describe('Answers: one for each input. EOS is put behind texts, and not behind token ids.'),
  logprobs: optional(z.int().min(0).max(MOST_LOGPROBS)).describe(
    "Also returns the log-probability of each of an answer's tokens, and of so many of the most probable ones.",
  ),
})

export const score = defineEndpoint({
  method: 'POST',
  path: '/score',
  access: 'client',
  tag: 'vLLM',
  summary: 'How probable given answers are',
  description:
    "The form of vLLM's /score. The score of a pair is the natural logarithm of the probability that the model answers text_1 with text_2: the sum over its tokens.",
  body: scoreBody,
  answers: {
    200: [
      {
        description: 'A score for each pair, in their order.',
        schema: z.object({
          id: z.string(),
          object: z.literal('list'),
          created: z.int(),
          model: z.string(),
          data: z.array(
            z.object({
              index: z.int(),
              object: z.literal('score'),
              score: z.number(),
              tokens: z.int().describe('The number of tokens of the answer.'),
              logprobs: completionLogprobs.optional(),
            }),
          ),
        }),
      },
    ],
  },
  async handle(call) {
    const { body, signal } = call
    const model = answering(call, body.model)
    const [inputs, targets] = [listOf(body.text_1), listOf(body.text_2)]
    if (inputs.length !== 1 && inputs.length !== targets.length)
      throw badRequest(
        `text_1 has ${inputs.length} inputs and text_2 ${targets.length} answers: give one input, or as many as answers`,
        'text_2',
      )
    call.admit(targets.length)
    inputs.forEach(each => checkLength('text_1', each, model.facts))
    targets.forEach(each => checkLength('text_2', each, model.facts, model.facts.maxNewTokens))
    const top = body.logprobs ?? 0
    // All answers to one input are sent in one message.
    const scored =
      inputs.length === 1
        ? await model.score({ input: inputs[0], targets, top }, signal)
        : await Promise.all(
            inputs.map(async (one, i) => (await model.score({ input: one, targets: [targets[i]], top }, signal))[0]),
          )
    return {
      id: newId('score'),
      object: 'list',
      created: secondsNow(),
      model: model.facts.name,
      data: scored.map(({ tokens, score: sum }, index) => ({
        index,
        object: 'score',
        score: sum,
        tokens: tokens.length,
        ...(body.logprobs != null && { logprobs: toCompletionLogprobs(tokens, 0) }),
      })),
    }
  },
})

const listOf = (value: string | readonly Input[]): readonly Input[] => (typeof value === 'string' ? [value] : value)
