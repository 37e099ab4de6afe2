import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { ServerContext } from '../api/context.js'
import type { Endpoint } from '../api/endpoint.js'
import { openApiDocument } from './document.js'

/** Adds the OpenAPI document at /openapi.json, and pages made of it at /docs, which load nothing from elsewhere. */
export async function addDocument(
  app: FastifyInstance,
  endpoints: readonly Endpoint[],
  { settings }: ServerContext,
): Promise<void> {
  const document = openApiDocument(endpoints, settings.apiKeys.length > 0)
  await app.register(swagger, { mode: 'static', specification: { document: document as never } })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { validatorUrl: null, docExpansion: 'list' },
    staticCSP: true,
  })
  app.get('/openapi.json', { config: { endpoint: '/openapi.json' } }, () => document)
}
