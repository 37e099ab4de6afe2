import type { z } from 'zod'
import { badRequest } from '../http/api-error.js'
import type { EventStream } from '../http/event-stream.js'
import type { ServedModel } from '../models/served-model.js'
import type { ServerContext } from './context.js'
import { parseBody } from './field-errors.js'

/** A request as an endpoint sees it. */
export interface Call<Body = unknown> {
  readonly body: Body
  /** The part of the URL's path that an endpoint leaves open: see `Endpoint.path`. */
  readonly name: string
  readonly server: ServerContext
  /** Aborted when the client is gone, the deadline has passed, or the server has to stop. */
  readonly signal: AbortSignal
  /** Reserves room for answers, or beams, until the request has ended. Throws a 429 if there is none. */
  admit(rows: number): void
  /** Adds fields to the line that the log gets at the end. */
  note(fields: Readonly<Record<string, unknown>>): void
}

/** An answer that is not JSON. */
export class TextAnswer {
  constructor(
    readonly text: string,
    readonly contentType: string,
  ) {}
}

/** An answer whose status is not 200. */
export class StatusAnswer {
  constructor(
    readonly status: number,
    readonly body: object,
  ) {}
}

export type Answered = object | EventStream | TextAnswer | StatusAnswer

export interface AnswerSchema {
  readonly description: string
  readonly schema: z.ZodType
  /** Default: application/json. */
  readonly contentType?: 'text/event-stream' | 'text/plain'
}

interface Documented<S extends z.ZodType> {
  readonly method: 'GET' | 'POST'
  /** A last part `{name}` stands for the rest of the URL's path, slashes included. */
  readonly path: string
  /** Who may call it: everyone, or those who have one of the API keys, or of the admin keys. */
  readonly access: 'public' | 'client' | 'admin'
  /** Whether it is answered also while the server stops. */
  readonly always?: boolean
  readonly tag: string
  readonly summary: string
  readonly description?: string
  readonly body?: S
  /** What it answers, errors aside, by status. */
  readonly answers: Readonly<Record<number, readonly AnswerSchema[]>>
}

/** What the server does at one method and path, and what its document says about it. */
export interface Endpoint extends Documented<z.ZodType> {
  /** Checks the body, and answers. */
  run(call: Call): Promise<Answered>
}

export function defineEndpoint<S extends z.ZodType>(
  parts: Documented<S> & { handle(call: Call<z.output<S>>): Promise<Answered> },
): Endpoint {
  const { handle, ...documented } = parts
  return {
    ...documented,
    run: async call => {
      const body = parts.body ? parseBody(parts.body, call.body) : undefined
      return handle({ ...call, body: body as z.output<S> })
    },
  }
}

/** The model that a request names. A server's only model needs no name. */
export function modelOf({ server, note }: Call, name: string | null | undefined): ServedModel {
  const { statuses } = server.models
  if (name == null && statuses.length > 1)
    throw badRequest(
      `model is missing: this server has ${statuses.map(each => each.name).join(', ')}; name one of them`,
      'model',
    )
  const asked = name ?? statuses[0].name
  const model = server.models.get(asked)
  note({ model: asked })
  return model
}

/** As `modelOf`, for what only a model that generates answers can do. */
export function answering(call: Call, name: string | null | undefined): ServedModel {
  const model = modelOf(call, name)
  if (!model.facts.answers)
    throw badRequest(
      `the model ${model.facts.name} makes vectors and no answers: use /v1/embeddings with it, or name a model that has a decoder`,
      'model',
    )
  return model
}
