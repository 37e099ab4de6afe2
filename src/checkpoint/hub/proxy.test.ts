import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { failure, useTestHub } from '../../../test/hub-setup.js'
import { ConfigError } from '../../base/errors.js'
import { TransientError } from './errors.js'
import { fetchModel } from './fetch-model.js'

const test = useTestHub()
const files = { 'config.json': '{"model_type": "t5"}', 'model.safetensors': new Uint8Array(100_000) }
const fetchTiny = (): Promise<string> => fetchModel('google/tiny', { firstWait: 0.01 })

/** What the proxy was asked for, and with what authorization. */
let asked: { readonly target: string; readonly authorization?: string }[]
/** The status with which the proxy refuses to connect to a host. */
let refusal: number
let proxy: Server
let address: string

beforeEach(async () => {
  asked = []
  refusal = 407
  proxy = createServer((incoming, outgoing) => {
    asked.push({ target: incoming.url!, authorization: incoming.headers['proxy-authorization'] })
    const { method, headers } = incoming
    const forwarded = request(incoming.url!, { method, headers }, answer => {
      outgoing.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(outgoing)
    })
    incoming.pipe(forwarded)
  })
  proxy.on('connect', ({ url, headers }, socket) => {
    asked.push({ target: url!, authorization: headers['proxy-authorization'] })
    socket.end(`HTTP/1.1 ${refusal} Refused\r\ncontent-length: 0\r\n\r\n`)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`
})
afterEach(async () => {
  proxy.closeAllConnections()
  proxy.close()
  await once(proxy, 'close')
})

it.each(['HTTP_PROXY', 'http_proxy', 'ALL_PROXY'])('all requests go through the proxy that %s names', async name => {
  test.hub.add('google/tiny', files)
  vi.stubEnv(name, `http://someone:secret%21@${address}`)
  await fetchTiny()
  expect(asked.length).toBe(test.hub.seen.length)
  expect(asked.map(({ target }) => new URL(target).origin)).toContain(test.hub.storageUrl)
  const token = Buffer.from('someone:secret!').toString('base64')
  expect(new Set(asked.map(({ authorization }) => authorization))).toEqual(new Set([`Basic ${token}`]))
})

it('an address without http:// is one of HTTP', async () => {
  test.hub.add('google/tiny', files)
  vi.stubEnv('HTTP_PROXY', address)
  await fetchTiny()
  expect(asked.length).toBe(test.hub.seen.length)
})

it.each(['127.0.0.1', 'example.org, 127.0.0.1', '*'])('hosts in NO_PROXY (%s) are reached directly', async hosts => {
  test.hub.add('google/tiny', files)
  vi.stubEnv('HTTP_PROXY', `http://${address}`)
  vi.stubEnv('NO_PROXY', hosts)
  await fetchTiny()
  expect(asked).toEqual([])
  expect(test.hub.seen.length).toBeGreaterThan(0)
})

it('a connection over TLS is asked of the proxy, whose refusal says what to do', async () => {
  vi.stubEnv('HF_ENDPOINT', 'https://hub.invalid')
  vi.stubEnv('HTTPS_PROXY', `http://${address}`)
  expect(await failure(fetchTiny())).toContain(
    `hub.invalid was refused by the proxy ${address} of the environment (HTTP 407): put its user and password into HTTPS_PROXY`,
  )
  refusal = 403
  expect(await failure(fetchTiny())).toContain('(HTTP 403): check HTTPS_PROXY and NO_PROXY')
  expect(asked.map(({ target }) => target)).toEqual(['hub.invalid:443', 'hub.invalid:443'])
})

it('a proxy that cannot be reached is named, without its password', async () => {
  vi.stubEnv('HTTP_PROXY', 'http://someone:secret@localhost:1')
  const message = await failure(fetchTiny(), TransientError)
  expect(message).toContain('through the proxy localhost:1 of the environment')
  expect(message).not.toContain('secret')
})

it.each(['socks5://someone:secret@localhost:1080', 'http://some one'])('%s is no address of a proxy', async value => {
  vi.stubEnv('HTTPS_PROXY', value)
  const message = await failure(fetchTiny(), ConfigError)
  expect(message).toContain('it must be the address of an HTTP proxy, such as http://')
  expect(message).not.toContain('secret')
})
