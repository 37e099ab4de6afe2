import type { FastifyInstance, InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeModel, registryOf } from '../../../test/fake-served-model.js'
import { completionBody } from '../api/completions.js'
import { constraintOf } from '../api/constraints.js'
import { detokenizeBody, tokenizeBody } from '../api/tokenize.js'
import { defaultSettings } from '../settings.js'
import type { ApiSettings } from '../settings.js'
import { adminCheck } from './api-keys.js'
import { makeApp } from './app.js'
import { nestingProblem } from './json-depth.js'
import { serverContext } from './server.js'

const lines: string[] = []
const settings: ApiSettings = {
  ...defaultSettings,
  apiKeys: ['one', 'two'],
  corsOrigins: ['https://example.org'],
  bodyLimit: 200_000,
  log: { write: line => lines.push(line) },
}

const model = new FakeModel('fake', { experts: { encoder: [], decoder: [4, 4] } })
const vectors = new FakeModel('vectors', { dimension: 3, answers: false, longestToken: 10 })
const short = new FakeModel('short', { longestToken: 10 })
let app: FastifyInstance
beforeAll(async () => {
  app = await makeApp(serverContext(await registryOf([model, vectors, short]), settings))
})
afterAll(() => app.close())

const key = { authorization: 'Bearer one' }
/** Objects are sent to the model `fake` unless they name another. */
const post = (url: string, payload: object | string | Buffer, options: InjectOptions = {}) =>
  app.inject({
    method: 'POST',
    url,
    payload:
      typeof payload === 'string' || Buffer.isBuffer(payload) || url.startsWith('/admin')
        ? payload
        : { model: 'fake', ...payload },
    ...options,
    headers: { 'content-type': 'application/json', ...key, ...options.headers },
  })
const refusal = async (url: string, payload: object | string | Buffer, options: InjectOptions = {}) => {
  const answer = await post(url, payload, options)
  const { error } = answer.json<{ error: { message: string; param: string | null; code: string | null } }>()
  return { status: answer.statusCode, ...error }
}

describe('keys', () => {
  it.each([
    [undefined, 401],
    ['Bearer three', 401],
    ['Bearer on', 401],
    ['Bearer', 401],
    ['Basic one', 401],
    ['Bearer one two', 401],
    ['Bearer two', 200],
    ['bearer  one', 200],
  ])('authorization: %s', async (authorization, status) => {
    const answer = await app.inject({ url: '/v1/models', headers: { ...(authorization && { authorization }) } })
    expect(answer.statusCode).toBe(status)
    if (status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer')
  })

  it('are checked before the body is read', async () => {
    const answer = await post('/v1/completions', 'x'.repeat(300_000), { headers: { authorization: '' } })
    expect(answer.statusCode).toBe(401)
  })

  it.each(['/health', '/metrics', '/openapi.json', '/docs/'])('are not needed for %s', async url => {
    expect((await app.inject(url)).statusCode).toBe(200)
  })

  it('of clients do not load models, nor does anyone without admin keys', async () => {
    expect(await refusal('/admin/models', { name: 'a', path: '/a' })).toMatchObject({
      status: 403,
      code: 'no_admin_key',
      message: expect.stringContaining('needs an admin key, and this server has none') as string,
    })
    const check = adminCheck({ apiKeys: ['one'], adminKeys: ['root'] })
    expect(() => check('Bearer one')).toThrow("needs an admin key (--admin-key-file), and the given key is a client's")
    expect(() => check('Bearer two')).toThrow('needs an admin key, and the given key is not one of this server')
    expect(() => check(undefined)).toThrow('needs an admin key: send the header')
    check('Bearer root')
  })
})

describe('what is asked for', () => {
  it('has an id: the client’s if it is harmless', async () => {
    const idOf = async (id?: string) =>
      (await app.inject({ url: '/health', headers: { ...(id && { 'x-request-id': id }) } })).headers['x-request-id']
    expect(await idOf('trace-1.a:b_c')).toBe('trace-1.a:b_c')
    for (const id of [undefined, 'a b', 'a"b', 'ü', 'x'.repeat(129)])
      expect(await idOf(id)).toMatch(/^req_[0-9a-f]{32}$/)
  })

  it('is logged in one line without bodies and keys', async () => {
    lines.length = 0
    await post('/v1/completions', { prompt: 'private words', max_tokens: 1 }, { headers: { 'x-request-id': 'id-1' } })
    await post('/v1/completions?token=private', { prompt: 1, model: 'fake', temperature: 'private' })
    await post('/v1/completions', { prompt: 'bug' }, { headers: { 'x-request-id': 'id-2' } })
    const logged = lines.map(line => JSON.parse(line) as Record<string, unknown>)
    expect(logged.map(({ status, reqId }) => [status, reqId])).toEqual([
      [200, 'id-1'],
      [400, expect.any(String)],
      [undefined, 'id-2'],
      [500, 'id-2'],
    ])
    expect(logged[0]).toMatchObject({
      method: 'POST',
      endpoint: '/v1/completions',
      model: 'fake',
      prompt_tokens: 3,
      completion_tokens: 1,
      ms: expect.any(Number) as number,
    })
    expect(logged[1].error).toContain('prompt: it must be')
    expect((logged[2].err as { stack: string }).stack).toContain('TypeError: cannot read secrets')
    expect(lines.join('')).not.toMatch(/private|Bearer|one"/)
  })

  it('is not found by a wrong path or method', async () => {
    const wrong = await app.inject('/v1/complete')
    expect([wrong.statusCode, wrong.json()]).toMatchObject([404, { error: { code: 'unknown_url' } }])
    const get = await app.inject('/v1/completions')
    expect([get.statusCode, get.headers.allow]).toEqual([405, 'POST'])
    expect(get.json()).toMatchObject({ error: { message: '/v1/completions is asked for with POST, not with GET' } })
    expect((await app.inject({ method: 'DELETE', url: '/v1/models/fake' })).statusCode).toBe(405)
    expect((await app.inject('/%zz')).json()).toMatchObject({
      error: { message: expect.stringContaining('percent') as string },
    })
  })

  it('is allowed to pages of the given origins', async () => {
    const allowed = async (origin: string) =>
      (await app.inject({ url: '/health', headers: { origin } })).headers['access-control-allow-origin']
    expect(await allowed('https://example.org')).toBe('https://example.org')
    expect(await allowed('https://example.com')).toBeUndefined()
    const preflight = await app.inject({
      method: 'OPTIONS',
      url: '/v1/completions',
      headers: { origin: 'https://example.org', 'access-control-request-method': 'POST' },
    })
    expect([preflight.statusCode, preflight.headers['access-control-allow-methods']]).toMatchObject([204, /POST/])
    const stream = await post(
      '/v1/completions',
      { prompt: 'a', stream: true },
      { headers: { origin: 'https://example.org' } },
    )
    expect(stream.headers).toMatchObject({
      'access-control-allow-origin': 'https://example.org',
      'content-type': 'text/event-stream',
      'x-request-id': expect.stringMatching(/^req_/) as string,
    })
  })
})

describe('bodies that are refused', () => {
  it.each<[string, string | Buffer, InjectOptions['headers'], number, RegExp]>([
    ['without a type', '{}', { 'content-type': 'application/x-www-form-urlencoded' }, 415, /must be JSON/],
    ['that are empty', '', {}, 400, /the body is empty/],
    ['that are no JSON', '{"prompt": ', {}, 400, /^the body is not valid JSON: Unexpected end of JSON input$/],
    ['that are cut', '{"prompt": "a"', {}, 400, /the body is not valid JSON: .*position 14/],
    [
      'with a field that is spelled wrongly',
      '{"promt": "a"}',
      {},
      400,
      /^unknown field "promt"; did you mean prompt\?$/,
    ],
    ['that are not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]), {}, 400, /the body is not UTF-8/],
    ['that are too large', JSON.stringify({ prompt: 'x'.repeat(200_000) }), {}, 413, /too large/],
    ['that are arrays', '[]', {}, 400, /the body must be a JSON object/],
    ['that are null', 'null', {}, 400, /the body must be a JSON object/],
    ['that change prototypes', '{"prompt": "a", "__proto__": {"model": "x"}}', {}, 400, /"__proto__"/],
    ['that change constructors', '{"prompt": "a", "constructor": {"prototype": {}}}', {}, 400, /not valid JSON/],
    ['with half a character', '{"model": "fake", "prompt": "a\\ud83d"}', {}, 400, /^prompt has half of a/],
    ['that are deep', `{"prompt": ${'['.repeat(4000)}${']'.repeat(4000)}}`, {}, 400, /more than 128 levels/],
    [
      'that have a deep text of JSON',
      JSON.stringify({
        model: 'fake',
        prompt: 'a',
        structured_outputs: { json: `${'['.repeat(4000)}${']'.repeat(4000)}` },
      }),
      {},
      400,
      /^structured_outputs.json has more than 128 levels/,
    ],
  ])('%s', async (_, body, headers, status, message) => {
    const refused = await refusal('/v1/completions', body, { headers })
    expect(refused.status).toBe(status)
    expect(refused.message).toMatch(message)
  })

  const messages = [{ role: 'user', content: 'a' }]

  it.each<[string, object, string, RegExp]>([
    ['/v1/completions', { prompt: 'a', temprature: 1 }, 'temprature', /did you mean temperature\?/],
    ['/v1/completions', { prompt: 'a', ['x'.repeat(1000)]: 1 }, `${'x'.repeat(100)}…`, /unknown field/],
    ['/v1/completions', {}, 'prompt', /must be a text/],
    ['/v1/completions', { prompt: null }, 'prompt', /must be a text/],
    ['/v1/completions', { prompt: [] }, 'prompt', /must be a text/],
    ['/v1/completions', { prompt: ['a', 1] }, 'prompt', /must be a text/],
    ['/v1/completions', { prompt: [1.5] }, 'prompt', /must be a text/],
    ['/v1/completions', { prompt: [[]] }, 'prompt[0]', /^prompt\[0\] is an empty array: it must be a whole number/],
    ['/v1/completions', { prompt: 'a', n: 0 }, 'n', /^n is 0: it must be a whole number from 1 to 128$/],
    ['/v1/completions', { prompt: 'a', n: 1.5 }, 'n', /^n is 1.5: it must be a whole number from 1 to 128$/],
    ['/v1/completions', { prompt: 'a', max_tokens: 0 }, 'max_tokens', /nothing to answer without echo/],
    ['/v1/completions', { prompt: 'a', n: 2, best_of: 1 }, 'best_of', /fewer than the n/],
    ['/v1/completions', { prompt: 'a', n: 1, best_of: 2, stream: true }, 'best_of', /cannot be streamed/],
    ['/v1/completions', { prompt: 'a', stop: '' }, 'stop', /a stop text is empty/],
    ['/v1/completions', { prompt: 'a', stop: ['a', ''] }, 'stop[1]', /a stop text is empty/],
    ['/v1/completions', { prompt: 'a', stop: 'x'.repeat(1001) }, 'stop', /more than 1000 characters/],
    ['/v1/completions', { prompt: 'a', bad_words: ['x'.repeat(1001)] }, 'bad_words[0]', /more than 1000 characters/],
    [
      '/v1/completions',
      { prompt: 'a', logprobs: true },
      'logprobs',
      /^logprobs is true: it must be a whole number from/,
    ],
    ['/v1/completions', { prompt: 'a', top_p: 0 }, 'top_p', /^top_p is 0: it must be a number above 0 and at most 1$/],
    ['/v1/completions', { prompt: 'a', stream: 'yes' }, 'stream', /^stream is "yes": it must be true or false$/],
    ['/v1/completions', { prompt: 'a', seed: 'x'.repeat(99) }, 'seed', /^seed is "x{40}…": it must be a whole number$/],
    ['/v1/completions', { prompt: 'a', early_stopping: 1 }, 'early_stopping', /it must be true or false, or "never"$/],
    ['/v1/completions', { prompt: 'a', suffix: 'x' }, 'suffix', /not supported: .*<extra_id_0>/],
    ['/v1/completions', { prompt: 'a', logit_bias: { 1: 2 } }, 'logit_bias', /not supported: use bad_words/],
    [
      '/v1/completions',
      { prompt: 'a', stream_options: { include_usag: 1 } },
      'stream_options.include_usag',
      /mean include_usage/,
    ],
    [
      '/v1/completions',
      { prompt: 'a', stream_options: { x: 1 } },
      'stream_options.x',
      /there are include_usage, include_ob/,
    ],
    ['/v1/completions', { prompt: 'a', guided_choice: ['x'] }, 'guided_choice', /use structured_outputs/],
    [
      '/v1/chat/completions',
      { messages: [] },
      'messages',
      /^messages is an empty array: it must be an array of 1 to 4096 elements$/,
    ],
    ['/v1/chat/completions', { messages: [{ role: 'tool', content: 'a' }] }, 'messages[0].role', /must be system/],
    ['/v1/chat/completions', { messages: [{ role: 'user' }] }, 'messages[0].content', /is missing: it must be a text/],
    ['/v1/chat/completions', { messages: 'a' }, 'messages', /^messages is "a": it must be an array/],
    [
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: 'a', nam: 'b' }] },
      'messages[0].nam',
      /did you mean name/,
    ],
    [
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
      'messages[0].content',
      /these models read text/,
    ],
    [
      '/v1/chat/completions',
      { messages: [{ role: 'assistant', content: 'a' }] },
      'messages',
      /the last message must be/,
    ],
    ['/v1/chat/completions', { messages, top_logprobs: 2 }, 'top_logprobs', /needs logprobs/],
    ['/v1/chat/completions', { messages, tools: [{}] }, 'tools', /call no tools/],
    ['/v1/chat/completions', { messages, store: true }, 'store', /not stored/],
    [
      '/v1/chat/completions',
      { messages, response_format: { type: 'xml' } },
      'response_format.type',
      /it must be "text", "json_object" or/,
    ],
    ['/v1/chat/completions', { messages, max_completion_tokens: 51 }, 'max_completion_tokens', /at most 50/],
    ['/v1/responses', { input: 'a', previous_response_id: 'x' }, 'previous_response_id', /send the whole conversation/],
    ['/v1/responses', { input: 'a', max_output_tokens: 51 }, 'max_output_tokens', /at most 50/],
    [
      '/v1/embeddings',
      { model: 'vectors', input: 'a', encoding_format: 'int8' },
      'encoding_format',
      /^encoding_format is "int8": it must be "float" or "base64"$/,
    ],
    ['/tokenize', { prompt: ['a'] }, 'prompt', /^prompt is an array of 1: it must be a text/],
    ['/detokenize', { tokens: [-1] }, 'tokens[0]', /tokens\[0\]/],
    ['/detokenize', { tokens: 'a' }, 'tokens', /^tokens is "a": it must be an array of at most 131072 elements$/],
    ['/v1/completions', { prompt: 'a', model: undefined }, 'model', /this server has fake, vectors, short; name one/],
    ['/score', { text_1: ['a', 'b'], text_2: ['a', 'b', 'c'] }, 'text_2', /2 inputs and text_2 3 answers/],
  ])('%s %j', async (url, body, param, message) => {
    const refused = await refusal(url, body)
    expect([refused.status, refused.param]).toEqual([400, param])
    expect(refused.message).toMatch(message)
  })

  it('are too long, or have too many parts, before anything is made of them', async () => {
    const long = 'a'.repeat(5000)
    const tooLong = (field: string, most: string) =>
      `${field} has 5,000 characters, and the model short takes at most ${most}`
    const pairs: [string, object, string][] = [
      ['/v1/completions', { prompt: ['a', long] }, tooLong('prompt', '100 tokens there, so no more than 1,000')],
      ['/v1/completions', { prompt: Array<number>(101).fill(1) }, 'prompt has 101 tokens, and the model short takes'],
      ['/v1/completions', { prompt: long, answer_separator: '=' }, tooLong('prompt', '150 tokens')],
      ['/v1/chat/completions', { messages: [{ role: 'user', content: long }] }, tooLong('messages', '100 tokens')],
      ['/v1/responses', { input: long }, tooLong('input', '100 tokens')],
      ['/score', { text_1: long, text_2: 'a' }, tooLong('text_1', '100 tokens')],
      ['/score', { text_1: 'a', text_2: long }, tooLong('text_2', '50 tokens')],
    ]
    const asked = short.asked.length
    for (const [url, body, message] of pairs)
      expect((await refusal(url, { model: 'short', ...body })).message).toContain(message)
    expect(short.asked.length).toBe(asked)
    const input = long.repeat(20)
    expect((await refusal('/v1/embeddings', { model: 'vectors', input })).message).toContain('input has 100,000 char')
    const choice = Array<string>(200).fill('x'.repeat(700))
    const restricted = completionBody.parse({ prompt: 'a', structured_outputs: { choice } })
    expect(() => constraintOf(restricted)).toThrow('choice has more than 131072 characters in all')
    expect(nestingProblem(Array(20_000).fill({}))).toContain('has more than 16,384 objects and arrays')
  })

  it('ask for more beams than the server takes on', async () => {
    const body = { prompt: Array<string>(33).fill('a'), num_beams: 64 }
    expect((await refusal('/v1/completions', body)).message).toContain('asks for 2112 answers or beams')
  })

  it('are those that ask for something; neutral values are accepted', async () => {
    const neutral = {
      frequency_penalty: 0,
      presence_penalty: null,
      logit_bias: {},
      user: 'me',
      n: 1,
      seed: null,
      stop: null,
      top_k: -1,
    }
    const ofChat = {
      messages,
      tools: [],
      tool_choice: 'none',
      store: false,
      service_tier: 'auto',
      metadata: { a: 'b' },
    }
    const ofResponse = { input: 'a', truncation: 'disabled', include: [], reasoning: {}, store: false, tools: [] }
    expect((await post('/v1/completions', { prompt: 'a', suffix: null, best_of: 1, ...neutral })).statusCode).toBe(200)
    expect((await post('/v1/chat/completions', { ...ofChat, ...neutral })).statusCode).toBe(200)
    expect((await post('/v1/responses', ofResponse)).statusCode).toBe(200)
  })
})

describe('vLLM’s endpoints', () => {
  it('/tokenize and /detokenize', async () => {
    const { count, tokens, token_strs, max_model_len } = (
      await post('/tokenize', { prompt: 'a b', return_token_strs: true })
    ).json<{ count: number; tokens: number[]; token_strs: string[]; max_model_len: number }>()
    expect([count, token_strs, max_model_len]).toEqual([3, ['a', ' b', ''], 100])
    expect((await post('/detokenize', { tokens })).json()).toEqual({ prompt: 'a b' })
    expect(tokenizeBody.safeParse({ prompt: 'a'.repeat(2 ** 17 + 1) }).error?.message).toContain('send it in parts')
    expect(detokenizeBody.safeParse({ tokens: Array(2 ** 17 + 1).fill(1) }).error?.message).toContain('in parts')
    expect(await refusal('/detokenize', { tokens: [9999] })).toMatchObject({ status: 400, message: /9999/ })
  })

  it('/score: one input with many answers, or pairs', async () => {
    const scores = async (body: object) =>
      (await post('/score', body)).json<{ data: { score: number; tokens: number }[] }>().data
    expect(await scores({ text_1: 'q', text_2: ['a', 'b c'] })).toEqual([
      { index: 0, object: 'score', score: -1, tokens: 2 },
      { index: 1, object: 'score', score: -1.5, tokens: 3 },
    ])
    expect(await scores({ text_1: ['q', 'r'], text_2: [model.idsOf('a'), 'b'], logprobs: 1 })).toMatchObject([
      { score: -0.5, tokens: 1, logprobs: { tokens: ['a'], token_logprobs: [-0.5], top_logprobs: [{ a: -0.5 }] } },
      { score: -1, tokens: 2 },
    ])
  })
})

describe('metrics', () => {
  it('have vLLM’s names, and the load of the experts', async () => {
    await post('/v1/completions', { prompt: 'a b', max_tokens: 2, n: 2 })
    const { body, headers } = await app.inject('/metrics')
    expect(headers['content-type']).toContain('text/plain; version=0.0.4')
    const value = (line: string): number => {
      const found = body.split('\n').find(text => text.startsWith(`${line} `))
      return found === undefined ? NaN : Number(found.slice(line.length + 1))
    }
    const of = 'model_name="fake"'
    expect(value(`vllm:num_requests_waiting{${of}}`)).toBe(2)
    expect(value(`vllm:num_requests_running{${of}}`)).toBe(0)
    expect(value(`vllm:kv_cache_usage_perc{${of}}`)).toBe(0.25)
    expect(value(`switchyard:expert_tokens_total{${of},layer="1",expert="3"}`)).toBe(8)
    expect(value(`switchyard:dropped_tokens_total{${of}}`)).toBe(9)
    expect(value(`switchyard:expert_hits_total{${of},layer="encoder/layers_1"}`)).toBe(5)
    expect(value(`switchyard:expert_misses_total{${of},layer="encoder/layers_1"}`)).toBe(3)
    expect(value(`switchyard:expert_wait_seconds_total{${of},layer="encoder/layers_1"}`)).toBe(0.25)
    expect(value(`switchyard:expert_read_bytes_total{${of},source="network"}`)).toBe(200)
    expect(value(`vllm:request_success_total{${of},finished_reason="length"}`)).toBeGreaterThanOrEqual(2)
    expect(body).toContain('# TYPE vllm:iteration_tokens_total histogram')
    const steps = (le: string): number => value(`vllm:iteration_tokens_total_bucket{le="${le}",${of}}`)
    expect([steps('1'), steps('2'), steps('4'), steps('16384'), steps('+Inf')]).toEqual([3, 3, 7, 7, 7])
    expect(value(`vllm:iteration_tokens_total_sum{${of}}`)).toBe(19)
    for (const name of ['vllm:prompt_tokens_total', 'vllm:generation_tokens_total'])
      expect(value(`${name}{${of}}`)).toBeGreaterThan(3)
    for (const name of ['time_to_first_token', 'inter_token_latency', 'e2e_request_latency'])
      expect(value(`vllm:${name}_seconds_count{${of}}`)).toBeGreaterThanOrEqual(2)
    expect(value('switchyard:http_requests_total{endpoint="/v1/completions",status="200"}')).toBeGreaterThan(1)
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e7)
  })

  it('count how answers ended; refused requests by their status alone', async () => {
    const ends = async (): Promise<Record<string, number>> => {
      const { body } = await app.inject('/metrics')
      const found = body.matchAll(/request_success_total\{model_name="fake",finished_reason="(\w+)"\} (\d+)/g)
      return Object.fromEntries(Array.from(found, ([, reason, count]) => [reason, Number(count)]))
    }
    const before = await ends()
    expect((await post('/v1/completions', { prompt: 'a '.repeat(101) })).statusCode).toBe(400)
    expect((await post('/v1/completions', { prompt: ['a', 'nan'], n: 2 })).statusCode).toBe(500)
    const { error = 0, stop = 0, ...rest } = before
    const after = await ends()
    // Of two prompts with two answers each, those to the first may have ended before the second failed.
    expect(after.error + after.stop).toBe(error + stop + 4)
    expect(after).toMatchObject(rest)
    expect((await app.inject('/metrics')).body).toMatch(
      /http_requests_total\{endpoint="\/v1\/completions",status="400"\}/,
    )
  })

  it('of a model that cannot tell its statistics leave it out', async () => {
    const { statistics } = vectors
    vectors.statistics = () => Promise.reject(new Error('it is restarting'))
    const { body, statusCode } = await app.inject('/metrics')
    vectors.statistics = statistics
    expect(statusCode).toBe(200)
    expect(body).toContain('num_requests_waiting{model_name="fake"}')
    expect(body).not.toContain('num_requests_waiting{model_name="vectors"}')
  })
})
