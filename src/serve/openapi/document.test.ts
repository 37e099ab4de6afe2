import type { FastifyInstance } from 'fastify'
import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { FakeModel, registryOf } from '../../../test/fake-served-model.js'
import type { chatBody } from '../api/chat.js'
import type { completionBody } from '../api/completions.js'
import type { embeddingBody } from '../api/embeddings.js'
import { endpoints } from '../api/endpoints.js'
import type { responseBody } from '../api/response-body.js'
import { makeApp } from '../http/app.js'
import { serverContext } from '../http/server.js'
import { defaultSettings } from '../settings.js'

interface Document {
  readonly openapi: string
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, object> }
}

interface Operation {
  readonly operationId: string
  readonly security: object[]
  readonly requestBody?: { content: Record<string, { schema: Schema }> }
  readonly responses: Record<string, object>
}

interface Schema {
  readonly additionalProperties?: boolean
  readonly properties?: Record<string, { description?: string; enum?: unknown[] }>
}

let app: FastifyInstance
let document: Document
beforeAll(async () => {
  const models = await registryOf([new FakeModel(), new FakeModel('vectors', { dimension: 3 })])
  app = await makeApp(serverContext(models, { ...defaultSettings, apiKeys: ['key'], logLevel: 'silent' }))
  document = (await app.inject('/openapi.json')).json()
})
afterAll(() => app.close())

describe('the OpenAPI document', () => {
  it('has every endpoint, each with an id of its own', () => {
    expect(document.openapi).toBe('3.1.0')
    const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
    )
    expect(listed.sort()).toEqual(endpoints.map(({ method, path }) => `${method} ${path}`).sort())
    const ids = Object.values(document.paths).flatMap(methods =>
      Object.values(methods).map(({ operationId }) => operationId),
    )
    expect(new Set(ids).size).toBe(endpoints.length)
  })

  it('describes every field of every body, and allows no other', () => {
    for (const [path, { post }] of Object.entries(document.paths)) {
      if (!post) continue
      const { additionalProperties, properties } = post.requestBody!.content['application/json'].schema
      expect(additionalProperties).toBe(false)
      const bare = Object.entries(properties!).filter(
        ([name, { description }]) => !description && !['prompt', 'tokens'].includes(name),
      )
      expect([path, bare.map(([name]) => name)]).toEqual([path, []])
    }
  })

  it('has the values of unsupported fields that are accepted', () => {
    const { properties } = document.paths['/v1/completions'].post.requestBody!.content['application/json'].schema
    expect(properties!.frequency_penalty).toEqual({
      enum: [null, 0],
      description: 'Not supported: use repetition_penalty.',
    })
  })

  it('says which endpoints need a key', () => {
    const security = (path: string, method: string): object[] => document.paths[path][method].security
    expect(security('/v1/completions', 'post')).toEqual([{ key: [] }])
    expect(security('/admin/models', 'post')).toEqual([{ adminKey: [] }])
    expect(security('/health', 'get')).toEqual([])
  })

  it('is shown at /docs, which loads nothing from elsewhere', async () => {
    const page = await app.inject('/docs/')
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.headers['content-security-policy']).toContain("default-src 'self'")
    expect(page.body).not.toMatch(/(src|href)="?https?:/)
    const script = await app.inject('/docs/static/swagger-initializer.js')
    expect(script.body).toContain('"validatorUrl":null')
    expect((await app.inject('/docs/json')).json()).toEqual(document)
  })
})

describe('answers', () => {
  const messages = [{ role: 'user', content: 'a b' }]
  const shown = { n: 2, return_experts: true }
  const stream = { stream: true }

  it.each<[string, object?]>([
    ['/v1/completions', { prompt: ['a b', 'c'], logprobs: 1, echo: true, ...shown }],
    ['/v1/completions', { prompt: 'a', echo: true, max_tokens: 0 }],
    ['/v1/completions', { prompt: 'a b', ...shown, ...stream, stream_options: { include_usage: true } }],
    ['/v1/chat/completions', { messages, logprobs: true, top_logprobs: 2, ...shown }],
    ['/v1/chat/completions', { messages, logprobs: true, ...shown, ...stream }],
    ['/v1/responses', { input: 'a b', instructions: 'c', max_output_tokens: 1 }],
    ['/v1/responses', { input: 'a b', ...stream }],
    ['/v1/embeddings', { input: 'a', model: 'vectors' }],
    ['/v1/embeddings', { input: ['a'], model: 'vectors', encoding_format: 'base64' }],
    ['/v1/models'],
    ['/v1/models/fake'],
    ['/tokenize', { prompt: 'a' }],
    ['/tokenize', { prompt: 'a', return_token_strs: true }],
    ['/detokenize', { tokens: [1] }],
    ['/score', { text_1: 'a', text_2: ['b', 'c'], logprobs: 2 }],
    ['/health'],
  ])('are as the document says, and have nothing else: %s %j', async (path, payload) => {
    const method = payload ? 'POST' : 'GET'
    const body = payload && { model: 'fake', ...payload }
    const answer = await app.inject({ method, url: path, payload: body, headers: { authorization: 'Bearer key' } })
    expect(answer.statusCode).toBe(200)
    const endpoint = endpoints.find(
      known => path === known.path || (known.path.endsWith('}') && path.endsWith('/fake')),
    )!
    const isStream = payload !== undefined && 'stream' in payload
    const { schema } = endpoint.answers[200].find(
      ({ contentType }) => (contentType === 'text/event-stream') === isStream,
    )!
    const sent = isStream
      ? [...answer.body.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => JSON.parse(json) as unknown)
      : [answer.json<unknown>()]
    expect(sent.length).toBeGreaterThan(0)
    for (const value of sent) expect(schema.parse(value)).toEqual(value)
  })
})

type FieldsOf<Schema extends { readonly shape: object }> = keyof Schema['shape']

// Checked by the compiler: a field that a new version of the official client sends must be known here.
it('bodies know every field of the official client', () => {
  expectTypeOf<Exclude<keyof OpenAI.CompletionCreateParams, FieldsOf<typeof completionBody>>>().toBeNever()
  expectTypeOf<Exclude<keyof OpenAI.ChatCompletionCreateParams, FieldsOf<typeof chatBody>>>().toBeNever()
  expectTypeOf<Exclude<keyof OpenAI.EmbeddingCreateParams, FieldsOf<typeof embeddingBody>>>().toBeNever()
  expectTypeOf<Exclude<keyof OpenAI.Responses.ResponseCreateParams, FieldsOf<typeof responseBody>>>().toBeNever()
})
