import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** Starts a web server on this machine, on a free port. `url` has no slash at its end. */
export async function startServer(answer: Answer): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response) => answer(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Answers a request for a range of bytes. Returns how many it sends. */
export function sendRange(
  bytes: Uint8Array,
  request: IncomingMessage,
  response: ServerResponse,
  headers: Record<string, string> = {},
): number {
  const [begin, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range!)!.slice(1).map(Number)
  if (begin >= bytes.length) {
    response.writeHead(416).end()
    return 0
  }
  const body = bytes.subarray(begin, end + 1)
  const range = `bytes ${begin}-${begin + body.length - 1}/${bytes.length}`
  response.writeHead(206, { ...headers, 'content-range': range }).end(body)
  return body.length
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html',
  js: 'text/javascript',
  json: 'application/json',
  wasm: 'application/wasm',
}

/** Serves files: `fileOf` returns the file of a URL's path. */
export function serveFiles(fileOf: (path: string) => string | undefined): Answer {
  return (request, response) => {
    const file = fileOf(new URL(request.url!, 'http://localhost').pathname)
    if (file === undefined) return void response.writeHead(404).end()
    readFile(file).then(
      bytes => {
        const headers = { 'content-type': types[file.split('.').at(-1)!] ?? 'application/octet-stream' }
        if (request.headers.range === undefined) response.writeHead(200, headers).end(bytes)
        else sendRange(bytes, request, response, headers)
      },
      () => response.writeHead(404).end(),
    )
  }
}
