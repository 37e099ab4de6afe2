import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ServerContext } from '../api/context.js'
import { StatusAnswer, TextAnswer } from '../api/endpoint.js'
import type { Call, Endpoint } from '../api/endpoint.js'
import { toApiError } from './api-error.js'
import type { ApiError } from './api-error.js'
import { adminCheck, clientCheck } from './api-keys.js'
import { EventStream, sendEvents } from './event-stream.js'
import { requestSignal } from './request-signal.js'
import { stopping } from './shutdown.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** What the log says about a request besides its path and status. */
    notes: Record<string, unknown>
  }
}

/** Adds endpoints to an app: access, admission, the signal of the work, and answers of each kind. */
export function addRoutes(app: FastifyInstance, endpoints: readonly Endpoint[], context: ServerContext): void {
  const access = accessChecks(context)
  for (const endpoint of endpoints) {
    const { method, path } = endpoint
    app.route({
      method,
      url: path.replace(/\{\w+\}$/, '*'),
      config: { endpoint: path },
      onRequest: (request, _reply, done) => {
        try {
          access[endpoint.access](request.headers.authorization)
          if (context.running.isStopping && !endpoint.always) throw stopping()
          done()
        } catch (error) {
          done(error as Error)
        }
      },
      handler: (request, reply) => answer(endpoint, request, reply, context),
    })
  }
}

function accessChecks({ settings }: ServerContext): Record<Endpoint['access'], (authorization?: string) => void> {
  const everyone = (): void => undefined
  return {
    public: everyone,
    client: settings.apiKeys.length > 0 ? clientCheck(settings) : everyone,
    admin: adminCheck(settings),
  }
}

async function answer(
  endpoint: Endpoint,
  request: FastifyRequest,
  reply: FastifyReply,
  context: ServerContext,
): Promise<FastifyReply> {
  const work = requestSignal(reply.raw, context.settings.deadlineSeconds)
  if (!endpoint.always) {
    context.running.enter(work)
    // It runs until its answer is sent, or its client is gone.
    reply.raw.once('close', () => context.running.leave(work))
  }
  let leaveQueue = (): void => undefined
  const call: Call = {
    body: request.body,
    name: (request.params as { '*'?: string })['*'] ?? '',
    server: context,
    signal: work.signal,
    admit: answers => (leaveQueue = context.admission.enter(answers)),
    note: fields => Object.assign(request.notes, fields),
  }
  try {
    const answered = await untilAborted(endpoint.run(call), work.signal)
    if (answered instanceof EventStream) {
      await sendEvents(reply, answered, context.settings.requestSeconds, error => noteError(request, error))
      return reply
    }
    if (answered instanceof TextAnswer) return reply.type(answered.contentType).send(answered.text)
    if (answered instanceof StatusAnswer) return reply.code(answered.status).send(answered.body)
    return reply.send(answered)
  } finally {
    leaveQueue()
  }
}

/** A task's result, or the signal's reason as soon as it is aborted: also if the task does not notice. */
async function untilAborted<T>(task: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error)
    signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([task, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Writes an error of the server into the log, and notes why a request failed. */
export function noteError(request: FastifyRequest, error: unknown): ApiError {
  const told = toApiError(error)
  if (told.internal) request.log.error({ err: error as Error }, 'an error of the server')
  // A URL that is not valid is found before there are notes.
  else Object.assign((request.notes ??= {}), { error: told.error.logged })
  return told.error
}
