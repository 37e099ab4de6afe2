import cors from '@fastify/cors'
import fastify, { LogController } from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { endpoints } from '../api/endpoints.js'
import type { ServerContext } from '../api/context.js'
import type { ServingMetrics } from '../metrics/serving-metrics.js'
import { addDocument } from '../openapi/routes.js'
import { addPage } from '../page/route.js'
import { ApiError, CLIENT_GONE } from './api-error.js'
import { answerBrokenRequest } from './broken-requests.js'
import { closeWhenStalled } from './event-stream.js'
import { addJsonBody } from './json-body.js'
import { requestId } from './request-ids.js'
import { addRoutes, noteError } from './routes.js'

/** The HTTP side of a server: everything but the listening. */
export async function makeApp(context: ServerContext): Promise<FastifyInstance> {
  const { settings, running, metrics } = context
  const milliseconds = settings.requestSeconds * 1000
  const app = fastify({
    bodyLimit: settings.bodyLimit,
    genReqId: requestId,
    // Its own lines have URLs. `logEnd` writes one for each request.
    logController: new LogController({ disableRequestLogging: true }),
    logger: { level: settings.logLevel, ...(settings.log && { stream: settings.log }) },
    requestTimeout: milliseconds,
    http: {
      headersTimeout: milliseconds,
      // How often slow requests are looked for.
      connectionsCheckingInterval: Math.min(milliseconds, 5000),
    },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => {
      const { status, body } = noteError(request, error)
      void (reply as FastifyReply).code(status).header('x-request-id', request.id).send(body)
    },
    // A request that comes while the server stops is answered by the routes.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 512 },
  })
  addJsonBody(app)
  app.decorateRequest('notes')
  app.addHook('onRequest', (request, reply, done) => {
    request.notes = {}
    reply.raw.once('close', () => logEnd(request, reply, metrics))
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff')
    if (running.isStopping) reply.header('connection', 'close')
    // Before the body is read.
    done(request.is404 ? notFound(request) : undefined)
  })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    closeWhenStalled(reply, settings.requestSeconds)
    done()
  })
  app.setErrorHandler((error, request, reply) => {
    const { status, headers, body } = noteError(request, error)
    return reply.code(status).headers(headers).send(body)
  })
  app.setNotFoundHandler((request, reply) => {
    const { status, headers, body } = notFound(request)
    return reply.code(status).headers(headers).send(body)
  })
  if (settings.corsOrigins.length > 0)
    await app.register(cors, {
      origin: settings.corsOrigins.includes('*') ? '*' : [...settings.corsOrigins],
      exposedHeaders: ['x-request-id', 'retry-after'],
    })
  addRoutes(app, endpoints, context)
  await addDocument(app, endpoints, context)
  await addPage(app)
  return app
}

/** Writes the line of a request into the log, and counts it. A client that left before its answer was sent has 499. */
function logEnd(request: FastifyRequest, { raw, elapsedTime }: FastifyReply, metrics: ServingMetrics): void {
  const endpoint = endpointOf(request)
  const status = raw.writableEnded ? raw.statusCode : CLIENT_GONE
  metrics.httpRequest(endpoint, status)
  const { method, notes, ip } = request
  request.log.info({ method, endpoint, status, ms: Math.round(elapsedTime), client: ip, ...notes }, 'request')
}

/** The endpoint that a request asks for, as the document names it. Other paths are not told apart. */
const endpointOf = (request: FastifyRequest): string =>
  (request.routeOptions.config as { endpoint?: string }).endpoint ?? 'other'

function notFound(request: FastifyRequest): ApiError {
  const [path] = request.url.split('?')
  const matches = endpoints.filter(endpoint =>
    endpoint.path.endsWith('}')
      ? path.startsWith(endpoint.path.slice(0, endpoint.path.indexOf('{')))
      : path === endpoint.path,
  )
  if (matches.length > 0) {
    const allow = matches.map(({ method }) => method).join(', ')
    return new ApiError(`${path} is asked for with ${allow}, not with ${request.method}`, {
      status: 405,
      type: 'invalid_request_error',
      headers: { allow },
    })
  }
  return new ApiError(`there is nothing at ${request.method} ${path.slice(0, 100)}: /docs lists what there is`, {
    status: 404,
    type: 'invalid_request_error',
    code: 'unknown_url',
  })
}
