import { z } from 'zod'
import type { ModelState, ModelStatus } from '../models/registry.js'
import { defineEndpoint, StatusAnswer } from './endpoint.js'

const healthAnswer = z.object({
  status: z
    .enum(['ready', 'degraded', 'loading', 'restarting', 'failed', 'stopping'])
    .describe('ready: all models answer. degraded: some do, and none is still being loaded for the first time.'),
  models: z.array(
    z.object({
      name: z.string(),
      state: z.enum(['loading', 'ready', 'restarting', 'failed']),
      error: z
        .string()
        .optional()
        .describe(
          'Why it failed or is restarted, or why its last version was not loaded. Not told if the server has API keys.',
        ),
    }),
  ),
})

export const health = defineEndpoint({
  method: 'GET',
  path: '/health',
  access: 'public',
  always: true,
  tag: 'Operation',
  summary: 'Whether the server answers',
  answers: {
    200: [{ description: 'A model answers, and none is still being loaded for the first time.', schema: healthAnswer }],
    503: [{ description: 'Models are being loaded, or none answers, or the server stops.', schema: healthAnswer }],
  },
  handle({ server }) {
    const { statuses } = server.models
    // Errors may have paths, which are told to clients alone.
    const isOpen = server.settings.apiKeys.length === 0
    const models = statuses.map(({ name, state, error }) => ({ name, state, ...(isOpen && error && { error }) }))
    const status = server.running.isStopping ? 'stopping' : statusOf(statuses)
    return Promise.resolve(
      new StatusAnswer(status === 'ready' || status === 'degraded' ? 200 : 503, { status, models }),
    )
  },
})

/** The state of all models together. */
function statusOf(models: readonly ModelStatus[]): ModelState | 'degraded' {
  const has = (wanted: ModelState): boolean => models.some(({ state }) => state === wanted)
  if (has('loading')) return 'loading'
  if (models.every(({ state }) => state === 'ready')) return 'ready'
  if (has('ready')) return 'degraded'
  return has('restarting') ? 'restarting' : 'failed'
}
