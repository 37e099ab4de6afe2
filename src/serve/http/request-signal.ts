import type { ServerResponse } from 'node:http'
import { SwitchyardError } from '../../base/errors.js'
import { deadlinePassed } from './api-error.js'

/** The client closed its connection before it had its answer. Nobody is left to be told. */
export class ClientGoneError extends SwitchyardError {
  override name = 'ClientGoneError'
}

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
    if (!response.writableFinished) controller.abort(new ClientGoneError('the client closed its connection'))
  })
  return controller
}
