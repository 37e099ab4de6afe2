import { SwitchyardError } from '../../base/errors.js'
import { quote } from '../format.js'
import type { HubModel } from './name.js'

/** A request that the hub refuses, or a response that a hub should not send. */
export class HubError extends SwitchyardError {
  override name = 'HubError'
}

/** An error that may disappear when the request is repeated: no connection, or a hub that is busy or failing. */
export class TransientError extends HubError {
  override name = 'TransientError'

  /** `retryAfter`: the seconds to wait that the hub asks for. */
  constructor(
    message: string,
    readonly retryAfter?: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** The host's name cannot be resolved. One more try is enough. */
export class UnreachableError extends TransientError {
  override name = 'UnreachableError'
}

export interface Refusal {
  readonly url: URL
  readonly status: number
  readonly headers: Headers
}

/**
 * The error for a failed request. The same status means different things from the hub and from its storage on another
 * host.
 */
export function refusal(
  { url, status, headers }: Refusal,
  model: HubModel,
  endpoint: string,
  hasToken: boolean,
): HubError {
  if (status === 408 || status === 429 || status >= 500) {
    const what = status === 429 ? 'asks for fewer requests' : 'has an error just now'
    return new TransientError(`${url.host} ${what} (HTTP ${status})`, retryAfter(headers))
  }
  // The storage's URLs are signed and expire. The hub gives a new one at the next try.
  const isHub = url.origin === new URL(endpoint).origin
  if (!isHub && [401, 403].includes(status))
    return new TransientError(`${url.host}, which stores the files, refused the address from the hub (HTTP ${status})`)
  const known = isHub ? reason(status, headers, model, endpoint, hasToken) : undefined
  return new HubError(`${model.repo}: ${known ?? `${url.host} answered with HTTP ${status}${hubMessage(headers)}`}`)
}

function reason(
  status: number,
  headers: Headers,
  { repo, revision }: HubModel,
  endpoint: string,
  hasToken: boolean,
): string | undefined {
  const page = `${endpoint}/${repo}`
  const login = `make a token that may read it at ${endpoint}/settings/tokens and set HF_TOKEN to it (or log in with "hf auth login")`
  const code = headers.get('x-error-code')
  if (code === 'GatedRepo')
    return `this model is gated: accept its terms at ${page}${hasToken ? ', with the account that your token is of' : `, then ${login}`}`
  if (code === 'RevisionNotFound')
    return `there is no revision ${quote(revision)} of this model: its branches and tags are listed at ${page}/tree/main`
  if (code === 'EntryNotFound')
    return `a file of this model is gone from the hub${hubMessage(headers)}: see ${page}/tree/main`
  if (status === 401 && hasToken)
    return `the hub does not accept your token (HF_TOKEN, or the file of "hf auth login")${hubMessage(headers)}: ${login}`
  if (status === 401)
    return `there is no such model at ${endpoint}, or it is private: check the name; if it is private, ${login}`
  if (status === 403) return `your token may not read this model${hubMessage(headers)}: ${login}`
  if (status === 404)
    return `there is no such model at ${endpoint}${hasToken ? ', or your token may not see it' : ''}: check the name`
  return undefined
}

function hubMessage(headers: Headers): string {
  const message = headers.get('x-error-message')
  return message === null ? '' : `, and says ${quote(message)}`
}

/** Retry-After, in seconds: it is given as such, or as a date. */
function retryAfter(headers: Headers): number | undefined {
  const text = headers.get('retry-after')
  if (text === null) return undefined
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined
}
