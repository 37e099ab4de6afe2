import { z } from 'zod'
import { defineEndpoint, TextAnswer } from './endpoint.js'

export const metrics = defineEndpoint({
  method: 'GET',
  path: '/metrics',
  access: 'public',
  always: true,
  tag: 'Operation',
  summary: 'Metrics for Prometheus',
  answers: { 200: [{ description: "Prometheus' text format.", schema: z.string(), contentType: 'text/plain' }] },
  async handle({ server }) {
    const { text, contentType } = await server.metrics.read()
    return new TextAnswer(text, contentType)
  },
})
