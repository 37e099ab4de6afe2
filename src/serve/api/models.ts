import { z } from 'zod'
import type { ModelFacts } from '../models/served-model.js'
import { defineEndpoint } from './endpoint.js'

const modelAnswer = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int().describe('When it was loaded, in seconds since 1970.'),
  owned_by: z.literal('switchyard'),
  parameters: z.int(),
  answers: z.boolean().describe('Whether it generates answers.'),
  dimension: z.int().nullable().describe('The size of its vectors; null: it makes none.'),
  max_model_len: z.int().nullable().describe('The most tokens of an input; null: as many as fit into memory.'),
  max_new_tokens: z.int().nullable().describe('The most tokens of an answer.'),
  experts: z
    .object({ encoder: z.array(z.int()), decoder: z.array(z.int()) })
    .describe('The number of experts of each sparse layer, in order.'),
})

const asAnswer = ({
  name,
  created,
  parameters,
  answers,
  dimension,
  maxInputTokens,
  maxNewTokens,
  experts,
}: ModelFacts) => ({
  id: name,
  object: 'model',
  created,
  owned_by: 'switchyard',
  parameters,
  answers,
  dimension,
  // JSON has no infinity.
  max_model_len: Number.isFinite(maxInputTokens) ? maxInputTokens : null,
  max_new_tokens: Number.isFinite(maxNewTokens) ? maxNewTokens : null,
  experts,
})

export const listModels = defineEndpoint({
  method: 'GET',
  path: '/v1/models',
  access: 'client',
  tag: 'OpenAI',
  summary: 'The models that answer',
  answers: {
    200: [
      {
        description: 'The models.',
        schema: z.object({
          object: z.literal('list'),
          data: z.array(modelAnswer),
          failed: z
            .array(z.object({ id: z.string(), error: z.string() }))
            .optional()
            .describe('Models that could not be loaded, and why.'),
        }),
      },
    ],
  },
  handle({ server: { models } }) {
    const failed = models.statuses
      .filter(({ state }) => state === 'failed')
      .map(({ name, error = '' }) => ({ id: name, error }))
    const data = models.models.map(({ facts }) => asAnswer(facts))
    return Promise.resolve({ object: 'list', data, ...(failed.length > 0 && { failed }) })
  },
})

export const oneModel = defineEndpoint({
  method: 'GET',
  path: '/v1/models/{model}',
  access: 'client',
  tag: 'OpenAI',
  summary: 'One of the models',
  answers: { 200: [{ description: 'The model.', schema: modelAnswer }] },
  handle: ({ server, name }) => Promise.resolve(asAnswer(server.models.get(name).facts)),
})
