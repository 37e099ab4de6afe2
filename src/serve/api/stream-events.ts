import type { ServerEvent } from '../http/event-stream.js'
import { toApiError } from '../http/api-error.js'

/** The last event of OpenAI's streams. */
export const DONE: ServerEvent = { data: '[DONE]' }

/** An error after the first part of a stream, as OpenAI's clients read it. */
export const errorEvent = (error: unknown): ServerEvent => ({ data: toApiError(error).error.body })
