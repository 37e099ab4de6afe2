import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** Ids that a client may choose: they are written to logs and headers as they are. */
const SANE = /^[A-Za-z0-9._:-]{1,128}$/

/** The id of a request: the client's `x-request-id` if it is harmless, otherwise a new one. */
export function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && SANE.test(given) ? given : newId('req')
}

/** An id of an answer, as OpenAI's: a prefix, and 32 hexadecimal digits. */
export const newId = (prefix: string): string => `${prefix}_${randomUUID().replaceAll('-', '')}`

/** The time in whole seconds since 1970, as OpenAI's `created`. */
export const secondsNow = (): number => Math.floor(Date.now() / 1000)
