import { createHash, timingSafeEqual } from 'node:crypto'
import { ApiError } from './api-error.js'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** The keys that open endpoints for clients, and those for who operates the server. */
interface Keys {
  readonly apiKeys: readonly string[]
  readonly adminKeys: readonly string[]
}

/** Throws unless a header `authorization` has one of the keys. */
type KeyCheck = (authorization: string | undefined) => void

/** The check of the endpoints for clients. */
export function clientCheck({ apiKeys }: Keys): KeyCheck {
  const isClient = matcher(apiKeys)
  return authorization => {
    const key = givenKey(authorization)
    if (key === undefined)
      throw unauthorized('this server needs an API key: send the header authorization: Bearer YOUR_KEY')
    if (!isClient(key)) throw unauthorized('the API key is not one of the keys of this server')
  }
}

/** The check of the endpoints that need an admin key. */
export function adminCheck({ apiKeys, adminKeys }: Keys): KeyCheck {
  const [isAdmin, isClient] = [matcher(adminKeys), matcher(apiKeys)]
  return authorization => {
    if (adminKeys.length === 0)
      throw forbidden(
        'this endpoint needs an admin key, and this server has none: start it with --admin-key-file or SWITCHYARD_ADMIN_KEYS',
      )
    const key = givenKey(authorization)
    if (key === undefined)
      throw unauthorized('this endpoint needs an admin key: send the header authorization: Bearer YOUR_ADMIN_KEY')
    const [admin, client] = [isAdmin(key), isClient(key)]
    if (admin) return
    if (client)
      throw forbidden("this endpoint needs an admin key (--admin-key-file), and the given key is a client's API key")
    throw unauthorized('this endpoint needs an admin key, and the given key is not one of this server')
  }
}

/** The key of the header `authorization: Bearer KEY`. */
const givenKey = (authorization: string | undefined): string | undefined =>
  /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]

/**
 * Whether a key is one of these. The time depends neither on the keys nor on how much of one is right: hashes are
 * compared, in constant time, and always with all keys.
 */
function matcher(keys: readonly string[]): (key: string) => boolean {
  const digests = keys.map(digest)
  return key => {
    const offered = digest(key)
    let isKnown = false
    for (const known of digests) if (timingSafeEqual(known, offered)) isKnown = true
    return isKnown
  }
}

const unauthorized = (message: string): ApiError =>
  new ApiError(message, {
    status: 401,
    type: 'invalid_request_error',
    code: 'invalid_api_key',
    headers: { 'www-authenticate': 'Bearer' },
  })

const forbidden = (message: string): ApiError =>
  new ApiError(message, { status: 403, type: 'invalid_request_error', code: 'no_admin_key' })
