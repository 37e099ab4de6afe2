import fc from 'fast-check'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { FakeModel, registryOf } from '../../../test/fake-served-model.js'
import type { ServerContext } from '../api/context.js'
import { endpoints } from '../api/endpoints.js'
import { defaultSettings } from '../settings.js'
import { makeApp } from './app.js'
import { serverContext } from './server.js'

// Clients that send what no client should, over sockets.

const model = new FakeModel('fake')
let context: ServerContext
let app: FastifyInstance
let port: number
beforeAll(async () => {
  context = serverContext(await registryOf([model]), {
    ...defaultSettings,
    requestSeconds: 0.2,
    bodyLimit: 1e5,
    adminKeys: ['key'],
    logLevel: 'silent',
  })
  app = await makeApp(context)
  port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
})
afterAll(async () => {
  app.server.closeAllConnections()
  await app.close()
})

const request = (body: string, headers = ''): string =>
  `POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** What the server sends until it closes the connection. */
async function answerTo(bytes: string | Buffer): Promise<string> {
  const socket = await open()
  socket.write(bytes)
  let received = ''
  for await (const chunk of socket) received += String(chunk)
  return received
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
}

const close = 'connection: close\r\n'

describe('what arrives over a connection', () => {
  it.each<[string, string | Buffer, RegExp]>([
    ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1.1 400 .*the request is not valid HTTP/s],
    ['TLS', Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 10, 13, 10]), /^HTTP\/1.1 400 /],
    [
      'headers without end',
      `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(20_000)}`,
      /^HTTP\/1.1 431 .*the headers are too large/s,
    ],
    ['one giant header', `GET / HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(1e6)}\r\n\r\n`, /^HTTP\/1.1 431 /],
    ['two lengths', request('{}', 'content-length: 5\r\n'), /^HTTP\/1.1 400 /],
    ['a length and chunks', request('{}', 'transfer-encoding: chunked\r\n'), /^HTTP\/1.1 400 /],
    [
      'a body that is announced as too large',
      request('', `${close}x: y\r\n`).replace('content-length: 0', 'content-length: 99999999'),
      /^HTTP\/1.1 413 /,
    ],
    ['half a request line', 'POST /v1/comp', /^HTTP\/1.1 408 .*did not arrive in time/s],
    ['half of the headers', 'POST /v1/completions HTTP/1.1\r\nhost: x\r\n', /^HTTP\/1.1 408 /],
    ['half a body', request('{"prompt": "a"}').slice(0, -5), /^HTTP\/1.1 408 /],
  ])('%s is refused, and the connection closed', async (_, bytes, answer) => {
    expect(await answerTo(bytes)).toMatch(answer)
  })

  it('a body in chunks that grows too large is refused', async () => {
    const head = `POST /v1/completions HTTP/1.1\r\nhost: x\r\n${close}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`
    const chunk = `8000\r\n${'a'.repeat(0x8000)}\r\n`
    expect(await answerTo(head + chunk.repeat(10))).toMatch(/^HTTP\/1.1 413 /)
  })

  it('two requests at once are answered one after the other', async () => {
    const answers = await answerTo(request('{"prompt": "a"}') + request('{"prompt": "b"}', close))
    expect([...answers.matchAll(/"text":"(\w)"/g)].map(([, text]) => text)).toEqual(['A', 'B'])
  })
})

describe('a client', () => {
  it('that does not read is not generated for', async () => {
    const socket = await open()
    const before = model.taken
    socket.pause()
    socket.write(request('{"prompt": "flood", "stream": true}'))
    // 1,000 pieces of 100 kB would follow. The buffers of sockets hold some megabytes.
    let last = -1
    await until(() => {
      const isStill = model.taken === last
      last = model.taken
      return last > before && isStill
    })
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(model.taken).toBe(last)
    expect(last - before).toBeLessThan(500)
    // Then the server closes the connection, which ends the request.
    await until(() => model.running === 0)
    expect(model.taken).toBe(last)
    socket.destroy()
  })

  it('that waits for tokens keeps its connection, and gets comments meanwhile', async () => {
    const answers = await answerTo(
      request('{"prompt": "a nap"}') + request('{"prompt": "nap nap", "stream": true}', close),
    )
    expect(answers).toContain('"text":"A NAP"')
    expect(answers).toMatch(/"text":"NAP".*(: waiting\s+)+.*"text":" NAP".*data: \[DONE\]/s)
  })

  it('that leaves at any moment leaves nothing behind', async () => {
    const bodies = ['{"prompt": "wait"}', '{"prompt": "endless", "stream": true}', '{"prompt": ["a", "wait"]}']
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const socket = await open()
        socket.write(request(bodies[i % 3]))
        await new Promise(resolve => setTimeout(resolve, i))
        socket.destroy()
      }),
    )
    await until(() => model.running === 0 && context.admission.size === 0)
    expect((await app.inject('/metrics')).body).toMatch(
      /http_requests_total\{endpoint="\/v1\/completions",status="499"\} \d\d/,
    )
    expect(await answerTo(request('{"prompt": "a"}', close))).toContain('"text":"A"')
  })
})

describe('any JSON in any field', () => {
  const names = endpoints.flatMap(({ method, path, body }) => {
    if (method === 'GET' || !body) return []
    const { shape } = body as unknown as { shape: Record<string, unknown> }
    return Object.keys(shape).map(field => [path, field] as const)
  })
  const minimal: Record<string, object> = {
    '/v1/completions': { prompt: 'a' },
    '/v1/chat/completions': { messages: [{ role: 'user', content: 'a' }] },
    '/v1/responses': { input: 'a' },
    '/v1/embeddings': { input: 'a' },
    '/tokenize': { prompt: 'a' },
    '/detokenize': { tokens: [] },
    '/score': { text_1: 'a', text_2: 'b' },
    '/admin/models': { name: 'fake', path: '/a' },
  }

  it('is answered with 200, or with a 400 in OpenAI’s form, and never with 500', async () => {
    expect(Object.keys(minimal).sort()).toEqual([...new Set(names.map(([path]) => path))].sort())
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom(0, -1, 1, 1e308, 0.5, '', 'a', true, [], {}, [[]], [{}], '__proto__', { __proto__: null }),
    )
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), value, async ([path, field], given) => {
        const answer = await app.inject({
          method: 'POST',
          url: path,
          headers: { authorization: 'Bearer key' },
          payload: { ...minimal[path], [field]: given },
        })
        if (answer.statusCode === 200) return
        // 404: `model` is a text that names no model.
        expect([400, 404]).toContain(answer.statusCode)
        const { error } = answer.json<{ error: object }>()
        expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code'])
      }),
      { numRuns: 500 },
    )
  })
})
