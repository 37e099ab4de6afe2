import type { ServerResponse } from 'node:http'
import { ApiError, CLIENT_GONE, deadlinePassed } from './api-error.js'

/** The client closed its connection. Nobody is left to be told. */
export const clientGone = (): ApiError =>
  new ApiError('the client closed its connection', { status: CLIENT_GONE, type: 'client_gone' })

/**
 * The signal of a request's work. It is aborted at once when the client goes away, and when the deadline passes.
 * `controller` is the way to abort it for another reason. The timer ends with the answer.
 */
export function requestSignal(response: ServerResponse, deadlineSeconds: number | null): AbortController {
  const controller = new AbortController()
  const timer =
    deadlineSeconds === null
      ? undefined
      : setTimeout(() => controller.abort(deadlinePassed(deadlineSeconds)), deadlineSeconds * 1000)
  response.once('close', () => {
    clearTimeout(timer)
    if (!response.writableFinished) controller.abort(clientGone())
  })
  return controller
}
