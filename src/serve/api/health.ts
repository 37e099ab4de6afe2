import { z } from 'zod'
import { defineEndpoint, StatusAnswer } from './endpoint.js'

const healthAnswer = z.object({
  status: z.enum(['ready', 'loading', 'restarting', 'failed', 'stopping']),
  models: z.array(z.object({ name: z.string(), state: z.enum(['loading', 'ready', 'restarting', 'failed']) })),
})

export const health = defineEndpoint({
  method: 'GET',
  path: '/health',
  access: 'public',
  always: true,
  tag: 'Operation',
  summary: 'Whether the server answers',
  answers: {
    200: [{ description: 'All models answer.', schema: healthAnswer }],
    503: [{ description: 'A model is being loaded, or cannot be, or the server is stopping.', schema: healthAnswer }],
  },
  handle({ server }) {
    const models = server.models.statuses.map(({ name, state }) => ({ name, state }))
    const notReady = models.find(({ state }) => state !== 'ready')
    const status = server.running.isStopping ? 'stopping' : (notReady?.state ?? 'ready')
    return Promise.resolve(new StatusAnswer(status === 'ready' ? 200 : 503, { status, models }))
  },
})
