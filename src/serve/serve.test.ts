import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeModel } from '../../test/fake-served-model.js'
import { ConfigError, FileError, SwitchyardError } from '../base/errors.js'
import type { ServedModel } from './models/served-model.js'
import { serveWith } from './serve.js'
import type { RunningServer } from './serve.js'
import type { ServeSettings } from './settings.js'

const source = (name: string) => ({ name, path: `/models/${name}` })

let running: RunningServer | undefined
afterEach(async () => {
  await running?.close()
  running = undefined
})

/** A server whose models are opened by the test. */
async function start(settings: Partial<ServeSettings> = {}) {
  const opened: { path: string; answer(model: ServedModel | Error): void }[] = []
  const lines: string[] = []
  running = await serveWith(
    ({ path }) =>
      new Promise((resolve, reject) =>
        opened.push({ path, answer: model => (model instanceof Error ? reject(model) : resolve(model)) }),
      ),
    { models: [source('fake')], port: 0, log: { write: line => lines.push(line) }, ...settings },
  )
  const { url, ready } = running
  const get = async (path: string): Promise<[status: number, body: unknown]> => {
    const response = await fetch(url + path)
    return [response.status, await response.json()]
  }
  const post = (path: string, body: object, headers: Record<string, string> = {}, signal?: AbortSignal) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal,
    })
  return { ready, opened, lines, get, post, server: running }
}

const next = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))

describe('a server', () => {
  it('listens while it loads its models, one after another, and answers 503 until then', async () => {
    const { ready, opened, get, post } = await start({ models: [source('a'), source('b')] })
    const loading = { name: 'b', state: 'loading' }
    expect(await get('/health')).toEqual([
      503,
      { status: 'loading', models: [{ name: 'a', state: 'loading' }, loading] },
    ])
    const refused = await post('/v1/completions', { prompt: 'x', model: 'a' })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(opened.map(({ path }) => path)).toEqual(['/models/a'])
    opened[0].answer(new FakeModel('a'))
    await next()
    expect(await get('/health')).toMatchObject([503, { status: 'loading' }])
    expect((await post('/v1/completions', { prompt: 'x', model: 'a' })).status).toBe(200)
    expect((await post('/v1/completions', { prompt: 'x', model: 'b' })).status).toBe(503)
    opened[1].answer(new FakeModel('b'))
    await ready
    expect(await get('/health')).toMatchObject([200, { status: 'ready' }])
  })

  it('says which model cannot be loaded, and serves the others', async () => {
    const { ready, opened, get, post, lines } = await start({ models: [source('a'), source('b')] })
    const error = '/models/a/model.safetensors is damaged'
    opened[0].answer(new FileError(error))
    await next()
    opened[1].answer(new FakeModel('b'))
    expect(await ready).toEqual([{ name: 'a', error: new FileError(error) }])
    const models = [
      { name: 'a', state: 'failed', error },
      { name: 'b', state: 'ready' },
    ]
    expect(await get('/health')).toEqual([200, { status: 'degraded', models }])
    expect(await get('/v1/models')).toMatchObject([200, { data: [{ id: 'b' }], failed: [{ id: 'a', error }] }])
    expect((await post('/v1/completions', { prompt: 'x', model: 'b' })).status).toBe(200)
    expect((await post('/v1/completions', { prompt: 'x', model: 'a' })).status).toBe(503)
    expect(lines.join('')).toContain(`"model":"a","msg":"the model could not be loaded: ${error}`)
  })

  it('is not ready if no model can be loaded', async () => {
    const { ready, opened, get } = await start({ models: [source('a'), source('b')] })
    opened[0].answer(new FileError('it is damaged'))
    await next()
    opened[1].answer(new ConfigError('it has 8 bits already'))
    const failed = ready.then(undefined, (error: unknown) => error)
    expect(await failed).toEqual(
      new SwitchyardError('no model could be loaded:\na: it is damaged\nb: it has 8 bits already'),
    )
    expect(await get('/health')).toMatchObject([503, { status: 'failed' }])
  })

  it('replaces a model while a request runs with the old version', async () => {
    const { ready, opened, post } = await start({ adminKeys: ['secret'] })
    const old = new FakeModel('fake')
    opened[0].answer(old)
    await ready
    const left = new AbortController()
    const waiting = post('/v1/completions', { prompt: 'wait' }, {}, left.signal).catch(() => undefined)
    while (old.running === 0) await next()
    const body = { name: 'fake', path: '/models/fake-2' }
    expect((await post('/admin/models', body)).status).toBe(401)
    expect((await post('/admin/models', body, { authorization: 'Bearer public' })).status).toBe(401)
    const swapped = post('/admin/models', body, { authorization: 'Bearer secret' })
    while (opened.length < 2) await next()
    const again = await post('/admin/models', body, { authorization: 'Bearer secret' })
    expect([again.status, await again.text()]).toMatchObject([400, expect.stringContaining('is being loaded from')])
    const renewed = new FakeModel('fake')
    opened[1].answer(renewed)
    expect(await (await swapped).json()).toEqual({ name: 'fake', state: 'ready' })
    expect(old.isClosed).toBe(false)
    expect((await post('/v1/completions', { prompt: 'x' })).status).toBe(200)
    expect([old.asked.length, renewed.asked.length]).toEqual([1, 1])
    left.abort()
    await waiting
    while (!old.isClosed) await next()
  })

  it('says why a new version cannot be loaded, and keeps the old one', async () => {
    const { ready, opened, post } = await start({ adminKeys: ['secret'] })
    opened[0].answer(new FakeModel('fake'))
    await ready
    const swapped = post('/admin/models', { name: 'fake', path: '/no' }, { authorization: 'Bearer secret' })
    while (opened.length < 2) await next()
    opened[1].answer(new FileError('/no: there is no model'))
    const refused = await swapped
    expect([refused.status, await refused.json()]).toMatchObject([
      400,
      { error: { message: '/no: there is no model' } },
    ])
    expect((await post('/v1/completions', { prompt: 'x' })).status).toBe(200)
  })

  it('finishes what runs before it stops, and refuses what is new', async () => {
    const { ready, opened, post, get, server } = await start()
    const model = new FakeModel('fake', { maxNewTokens: 1e6 })
    opened[0].answer(model)
    await ready
    const answer = post('/v1/completions', { prompt: 'slow a b c', stream: true })
    while (model.running === 0) await next()
    const closed = server.close()
    const refused = await post('/v1/completions', { prompt: 'x' })
    expect([refused.status, await refused.json()]).toMatchObject([503, { error: { code: 'stopping' } }])
    expect(refused.headers.get('connection')).toBe('close')
    expect(await get('/health')).toMatchObject([503, { status: 'stopping' }])
    const text = await (await answer).text()
    expect(text).toContain('data: [DONE]')
    await closed
    expect(model.isClosed).toBe(true)
    await expect(fetch(`${server.url}/health`)).rejects.toThrow()
  })

  it('ends what runs for too long when it stops', async () => {
    const { ready, opened, post, server } = await start({ stopSeconds: 0.02 })
    const model = new FakeModel('fake')
    opened[0].answer(model)
    await ready
    const waiting = post('/v1/completions', { prompt: 'wait' })
    while (model.running === 0) await next()
    await server.close()
    expect((await waiting).status).toBe(503)
  })

  it('ends a request at the deadline', async () => {
    const { ready, opened, post } = await start({ deadlineSeconds: 0.4 })
    const model = new FakeModel('fake')
    opened[0].answer(model)
    await ready
    const late = await post('/v1/completions', { prompt: 'wait' })
    expect([late.status, await late.json()]).toMatchObject([504, { error: { code: 'deadline_exceeded' } }])
    expect(late.headers.get('x-should-retry')).toBe('false')
    const stream = await post('/v1/completions', { prompt: 'endless', stream: true })
    expect(await stream.text()).toMatch(/data: \{"error":\{"message":"the request was not answered within 0.4 s.*\n\n$/)
    while (model.running > 0) await next()
    expect(model.aborted).toBe(2)
  })
})

describe('settings', () => {
  it.each<[string, Partial<ServeSettings>, RegExp]>([
    ['no model', { models: [] }, /there is no model to serve/],
    ['two of a name', { models: [source('a'), source('a')] }, /two models have the name a/],
    ['an empty key', { apiKeys: [''] }, /a key is empty/],
    ['a wrong port', { port: 1e6 }, /the port is 1000000/],
    ['no time', { deadlineSeconds: 0 }, /deadlineSeconds is 0/],
    ['a wrong template', { chatTemplate: '{% if %}' }, /the chat template is not valid Jinja/],
    ['a foreign address', { host: '192.0.2.1' }, /192.0.2.1 is not an address of this machine/],
  ])('with %s are refused', async (_, settings, message) => {
    await expect(start(settings)).rejects.toThrow(message)
  })

  it('with a port that is in use are refused', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => other.once('listening', resolve))
    const { port } = other.address() as AddressInfo
    await expect(start({ port })).rejects.toThrow(`port ${port} of 127.0.0.1 is in use`)
    other.close()
  })
})
