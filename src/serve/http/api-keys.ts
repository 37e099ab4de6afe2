import { createHash, timingSafeEqual } from 'node:crypto'
import { ApiError } from './api-error.js'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * A check of the header `authorization: Bearer KEY` against keys. Its time depends neither on the keys nor on how much
 * of one is right: hashes are compared, in constant time, and always with all keys.
 */
export function keyCheck(keys: readonly string[]): (authorization: string | undefined) => void {
  const digests = keys.map(digest)
  return authorization => {
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
    const offered = digest(given ?? '')
    let isKnown = false
    for (const known of digests) if (timingSafeEqual(known, offered)) isKnown = true
    if (given === undefined)
      throw unauthorized('this server needs an API key: send the header authorization: Bearer YOUR_KEY')
    if (!isKnown) throw unauthorized('the API key is not one of the keys of this server')
  }
}

const unauthorized = (message: string): ApiError =>
  new ApiError(message, {
    status: 401,
    type: 'invalid_request_error',
    code: 'invalid_api_key',
    headers: { 'www-authenticate': 'Bearer' },
  })
