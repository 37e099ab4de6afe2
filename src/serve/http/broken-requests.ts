import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that are no HTTP, by Node's code of the error. */
const PROBLEMS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the headers are too large: they may have 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request did not arrive in time'],
}

/** Answers a connection whose bytes are no valid request, and closes it. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, message] = PROBLEMS[error.code ?? ''] ?? [400, 'the request is not valid HTTP']
  const body = JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code: null } })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
