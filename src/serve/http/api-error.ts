import { ConfigError, SwitchyardError } from '../../base/errors.js'
import { inApiNames } from '../api/option-names.js'
import { ModelNotReadyError, UnknownModelError, UnreadAnswerError } from '../models/model-errors.js'

/** The body of every answer that is an error: OpenAI's form. */
export interface ErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    /** The field that must be changed, such as `messages[0].content`. */
    readonly param: string | null
    readonly code: string | null
  }
}

/** The status of a request whose client left before it had its answer, in logs and metrics: nginx's. */
export const CLIENT_GONE = 499

interface ErrorDetails {
  readonly status: number
  readonly type: string
  readonly param?: string | null
  readonly code?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** The message for the log, if the message has a value of the body, which the log must not have. */
  readonly logged?: string
}

/** An error with the HTTP status and the fields by which OpenAI's clients know it. */
export class ApiError extends SwitchyardError {
  override name = 'ApiError'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: ErrorBody
  /** What the log says. */
  readonly logged: string

  constructor(message: string, details: ErrorDetails) {
    super(message)
    const { status, type, param = null, code = null, headers = {}, logged = message } = details
    this.logged = logged
    this.status = status
    this.headers = headers
    this.body = { error: { message, type, param, code } }
  }
}

/** A request that its client must change. `param` is the field at fault; for `logged` see `ErrorDetails`. */
export const badRequest = (
  message: string,
  param: string | null = null,
  code: string | null = null,
  logged?: string,
): ApiError => new ApiError(message, { status: 400, type: 'invalid_request_error', param, code, logged })

/** A server that takes no requests now: it loads its models, or it stops. */
export const unavailable = (message: string, code: string): ApiError =>
  new ApiError(message, { status: 503, type: 'server_error', code, headers: { 'retry-after': '1' } })

/** OpenAI's clients repeat a request after a server's error, unless this header says not to. */
const NO_RETRY = { 'x-should-retry': 'false' }

/** A request that was not answered within the server's deadline. */
export const deadlinePassed = (seconds: number): ApiError =>
  new ApiError(
    `the request was not answered within ${seconds} seconds, the deadline of this server: ask for fewer tokens or answers, or try again when the server has less to do`,
    { status: 504, type: 'server_error', code: 'deadline_exceeded', headers: NO_RETRY },
  )

/** Fastify's own errors by their codes: what a client is told instead. */
const FASTIFY_ERRORS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'the body must be JSON: send the header content-type: application/json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'the body is empty: send a JSON object',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'the body does not have the size that its content-length says',
  FST_ERR_BAD_URL: 'the URL is not valid: it has a wrong percent escape',
}

/** Any error as one for a client. `internal`: it is a fault of the server, and the client is not told its message. */
export function toApiError(error: unknown): { error: ApiError; internal: boolean } {
  const known = knownError(error)
  if (known) return { error: known, internal: false }
  const message = 'the server failed because of an error of its own: its log has it under the id of this request'
  return { error: new ApiError(message, { status: 500, type: 'server_error' }), internal: true }
}

function knownError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error
  if (error instanceof UnknownModelError)
    return new ApiError(error.message, {
      status: 404,
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    })
  if (error instanceof ModelNotReadyError) return unavailable(error.message, 'model_not_ready')
  if (error instanceof UnreadAnswerError)
    return new ApiError(error.message, { status: CLIENT_GONE, type: 'invalid_request_error', code: 'answer_not_read' })
  if (error instanceof ConfigError) {
    const { message: told, field } = inApiNames(error.message)
    return badRequest(told, field)
  }
  if (error instanceof SwitchyardError) return new ApiError(error.message, { status: 500, type: 'server_error' })
  const { code = '', statusCode = 500, message } = (error ?? {}) as { code?: string; statusCode?: number } & Error
  if (statusCode < 400 || statusCode >= 500) return undefined
  return new ApiError(FASTIFY_ERRORS[code] ?? message, { status: statusCode, type: 'invalid_request_error' })
}
