import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeModel, registryOf } from '../../../test/fake-served-model.js'
import { listen } from '../http/server.js'
import type { HttpServer } from '../http/server.js'
import { defaultSettings } from '../settings.js'

// The official client against a server that listens.

const model = new FakeModel('org/fake')
const vectors = new FakeModel('vectors', { answers: false, dimension: 3 })
let server: HttpServer
let client: OpenAI

beforeAll(async () => {
  const models = await registryOf([model, vectors])
  server = await listen(models, {
    ...defaultSettings,
    port: 0,
    apiKeys: ['first', 'second'],
    maxQueued: 20,
    logLevel: 'silent',
  })
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'second', maxRetries: 0 })
})
afterAll(() => server.close())

const asked = { model: 'org/fake' }

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2))
}

describe('completions', () => {
  it('answer a text', async () => {
    const { id, object, choices, usage, model: name } = await client.completions.create({ ...asked, prompt: 'a b c' })
    expect(id).toMatch(/^cmpl_/)
    expect([object, name]).toEqual(['text_completion', 'org/fake'])
    expect(choices).toEqual([{ index: 0, text: 'A B C', logprobs: null, finish_reason: 'stop' }])
    expect(usage).toEqual({ prompt_tokens: 4, completion_tokens: 4, total_tokens: 8 })
  })

  it('answer several prompts, of texts or of ids, with n answers each', async () => {
    const of = async (prompt: string[] | number[] | number[][]): Promise<[number, string][]> => {
      const { choices } = await client.completions.create({ ...asked, prompt, n: 2 })
      return choices.map(({ index, text }) => [index, text])
    }
    const both = [
      [0, 'A B'],
      [1, 'A B 1'],
      [2, 'C'],
      [3, 'C 1'],
    ]
    expect(await of(['a b', 'c'])).toEqual(both)
    expect(await of([model.idsOf('a b'), model.idsOf('c')])).toEqual(both)
    expect(await of(model.idsOf('a b'))).toEqual(both.slice(0, 2))
  })

  it('end at the most tokens, or before a stop text', async () => {
    const cut = await client.completions.create({ ...asked, prompt: 'a b c', max_tokens: 2 })
    expect(cut.choices[0]).toMatchObject({ text: 'A B', finish_reason: 'length' })
    const stopped = await client.completions.create({ ...asked, prompt: 'a b c', stop: [' C', ' B'] })
    expect(stopped.choices[0]).toMatchObject({ text: 'A', finish_reason: 'stop' })
  })

  it('tell log-probabilities, and echo the prompt without them', async () => {
    const { choices } = await client.completions.create({ ...asked, prompt: 'a b', logprobs: 2, echo: true })
    expect(choices[0].text).toBe('a bA B')
    expect(choices[0].logprobs).toEqual({
      tokens: ['a', ' b', 'A', ' B', ''],
      token_logprobs: [null, null, -0.5, -0.5, -0.5],
      top_logprobs: [null, null, { A: -0.5, '<1>': -1 }, { ' B': -0.5, '<1>': -1 }, { '': -0.5, '<1>': -1 }],
      text_offset: [0, 1, 3, 4, 6],
    })
  })

  it('return the best of several', async () => {
    const { choices } = await client.completions.create({ ...asked, prompt: 'a', n: 2, best_of: 5 })
    expect(choices).toHaveLength(2)
    expect(model.asked.at(-1)!.options).toMatchObject({ numReturned: 5, logProbabilities: 0 })
  })

  it('are streamed', async () => {
    const stream = await client.completions.create({
      ...asked,
      prompt: ['a b', 'c'],
      echo: true,
      stream: true,
      stream_options: { include_usage: true },
    })
    const parts = await all(stream)
    const textOf = (index: number): string =>
      parts.flatMap(({ choices }) => choices.flatMap(choice => (choice.index === index ? choice.text : []))).join('')
    expect([textOf(0), textOf(1)]).toEqual(['a bA B', 'cC'])
    expect(parts.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 5 } })
    expect(parts.slice(0, -1).every(({ usage }) => usage === null)).toBe(true)
    expect(parts.flatMap(({ choices }) => choices.flatMap(({ finish_reason }) => finish_reason ?? []))).toEqual([
      'stop',
      'stop',
    ])
  })

  it('tell the experts of tokens when asked', async () => {
    const extra = { ...asked, prompt: 'a', return_experts: true }
    const { choices } = await client.completions.create(extra)
    const [id] = model.idsOf('A')
    expect(choices[0]).toMatchObject({ experts: [{ token_id: id, token: 'A', experts: [[id % 4], [0]] }, {}] })
  })

  it('score the beginning of an answer behind the answer separator, as lm-evaluation-harness asks for it', async () => {
    const prompt = model.idsOf('Question: what? Answer: yes it is')
    const extra = { answer_separator: 'Answer:' }
    const { choices, usage } = await client.completions.create({
      ...asked,
      prompt,
      echo: true,
      logprobs: 1,
      max_tokens: 0,
      temperature: 0,
      ...extra,
    })
    expect(choices[0].text).toBe('Question: what? Answer: yes it is')
    expect(choices[0].logprobs!.tokens).toEqual(['Question:', ' what?', ' Answer:', ' yes', ' it', ' is'])
    expect(choices[0].logprobs!.token_logprobs).toEqual([null, null, null, -0.5, -0.5, -0.5])
    expect(choices[0].logprobs!.top_logprobs!.slice(-1)).toEqual([{ ' is': -0.5 }])
    expect(usage!.completion_tokens).toBe(0)
  })
})

describe('chat', () => {
  const messages = [
    { role: 'system' as const, content: 'translate:' },
    { role: 'user' as const, content: 'old' },
    { role: 'assistant' as const, content: 'OLD' },
    {
      role: 'user' as const,
      content: [
        { type: 'text' as const, text: 'a' },
        { type: 'text' as const, text: 'b' },
      ],
    },
  ]

  it("answers the last message after the system's text", async () => {
    const { choices, usage, object } = await client.chat.completions.create({ ...asked, messages })
    expect(object).toBe('chat.completion')
    expect(choices).toEqual([
      {
        index: 0,
        message: { role: 'assistant', content: 'TRANSLATE:\nA\nB', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ])
    expect(usage).toEqual({ prompt_tokens: 4, completion_tokens: 4, total_tokens: 8 })
  })

  it('tells log-probabilities with their bytes', async () => {
    const { choices } = await client.chat.completions.create({
      ...asked,
      messages: [{ role: 'user', content: 'é' }],
      logprobs: true,
      top_logprobs: 1,
    })
    expect(choices[0].logprobs!.content![0]).toEqual({
      token: 'É',
      logprob: -0.5,
      bytes: [195, 137],
      top_logprobs: [{ token: 'É', logprob: -0.5, bytes: [195, 137] }],
    })
  })

  it('is streamed, with n answers', async () => {
    const stream = client.chat.completions.stream({ ...asked, messages, n: 2, stream_options: { include_usage: true } })
    const { choices, usage } = await stream.finalChatCompletion()
    expect(choices.map(({ message, finish_reason }) => [message.content, finish_reason])).toEqual([
      ['TRANSLATE:\nA\nB', 'stop'],
      ['TRANSLATE:\nA\nB 1', 'stop'],
    ])
    expect(usage!.prompt_tokens).toBe(4)
  })
})

describe('responses', () => {
  it('answer an input with instructions', async () => {
    const response = await client.responses.create({ ...asked, instructions: 'x', input: 'a b', metadata: { k: 'v' } })
    expect(response.output_text).toBe('X\nA B')
    expect(response).toMatchObject({ object: 'response', status: 'completed', metadata: { k: 'v' } })
    expect(response.usage).toMatchObject({ input_tokens: 4, output_tokens: 4, total_tokens: 8 })
  })

  it('are incomplete when they reach the most tokens', async () => {
    const input = [{ role: 'user' as const, content: [{ type: 'input_text' as const, text: 'a b c' }] }]
    const response = await client.responses.create({ ...asked, input, max_output_tokens: 1 })
    expect(response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output_text: 'A',
    })
  })

  it('are streamed as numbered events', async () => {
    const stream = client.responses.stream({ ...asked, input: 'a b' })
    const events = await all(stream)
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    expect(events.map(event => (event as { sequence_number: number }).sequence_number)).toEqual([...events.keys()])
    expect((await stream.finalResponse()).output).toMatchObject([{ content: [{ type: 'output_text', text: 'A B' }] }])
  })
})

describe('embeddings', () => {
  it('are the same as numbers and as base64, which the client asks for by default', async () => {
    const input = ['abc', 'de']
    const [packed, numbers] = await Promise.all([
      client.embeddings.create({ model: 'vectors', input }),
      client.embeddings.create({ model: 'vectors', input, encoding_format: 'float', dimensions: 3 }),
    ])
    expect(packed.data).toEqual(numbers.data)
    expect(numbers.data[1]).toEqual({ object: 'embedding', index: 1, embedding: [2, Math.fround(0.1), -1] })
    expect(numbers.usage).toEqual({ prompt_tokens: 4, total_tokens: 4 })
  })

  it('refuse another size, unknown ids, and models without vectors', async () => {
    const create = (body: object): Promise<unknown> =>
      client.embeddings.create({ model: 'vectors', input: 'a', ...body } as never)
    await expect(create({ dimensions: 2 })).rejects.toMatchObject({ status: 400, param: 'dimensions' })
    await expect(create({ input: [1, 2] })).rejects.toThrow('the input has the token id 2')
    await expect(create({ model: 'org/fake' })).rejects.toThrow('the model org/fake is an encoder-decoder')
    await expect(client.completions.create({ model: 'vectors', prompt: 'a' })).rejects.toThrow('makes vectors')
  })
})

describe('models', () => {
  it('are listed without their paths, and found by name', async () => {
    const list = await all(client.models.list())
    expect(list.map(({ id }) => id)).toEqual(['org/fake', 'vectors'])
    expect(list[0]).toMatchObject({ object: 'model', created: 1_700_000_000, owned_by: 'switchyard' })
    expect(JSON.stringify(list)).not.toContain('secret')
    expect((await client.models.retrieve('org/fake')).id).toBe('org/fake')
    await expect(client.models.retrieve('org/fakes')).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
  })
})

describe('errors', () => {
  it.each([
    ['an unknown model', { model: 'nothing' }, OpenAI.NotFoundError, { param: 'model', code: 'model_not_found' }],
    ['an unknown field', { promt: 'a' }, OpenAI.BadRequestError, { param: 'promt', code: 'unknown_field' }],
    ['a wrong type', { max_tokens: 'ten' }, OpenAI.BadRequestError, { param: 'max_tokens' }],
    ['a field without support', { frequency_penalty: 1 }, OpenAI.BadRequestError, { param: 'frequency_penalty' }],
    ['scores that are NaN', { prompt: 'nan' }, OpenAI.InternalServerError, { type: 'server_error' }],
    ['too many answers', { n: 21 }, OpenAI.BadRequestError, {}],
  ])('of OpenAI’s classes: %s', async (_, body, kind, fields) => {
    const failed = client.completions.create({ ...asked, prompt: 'a', ...body } as never)
    await expect(failed).rejects.toThrow(kind)
    await expect(failed).rejects.toMatchObject(fields)
  })

  it('with the id of the request', async () => {
    const error = await client.completions.create({ model: 'x', prompt: '' }).catch((thrown: unknown) => thrown)
    expect((error as InstanceType<typeof OpenAI.APIError>).requestID).toMatch(/^req_[0-9a-f]{32}$/)
  })

  it('of a wrong key', async () => {
    const stranger = client.withOptions({ apiKey: 'third' })
    await expect(stranger.models.list()).rejects.toThrow(OpenAI.AuthenticationError)
  })

  it('hide what is a fault of the server', async () => {
    const failed = client.completions.create({ ...asked, prompt: 'bug' })
    await expect(failed).rejects.toThrow(/^500 the server failed because of an error of its own/)
  })

  it('before the first piece of a stream: by the status', async () => {
    await expect(client.completions.create({ ...asked, prompt: 'nan', stream: true })).rejects.toThrow(/^500 .*NaN/)
  })

  it('in the middle of a stream, in all three APIs', async () => {
    const streams = [
      await client.completions.create({ ...asked, prompt: 'a late', stream: true }),
      await client.chat.completions.create({ ...asked, messages: [{ role: 'user', content: 'a late' }], stream: true }),
      await client.responses.create({ ...asked, input: 'a late', stream: true }),
    ]
    for (const stream of streams) {
      const seen: unknown[] = []
      const read = async (): Promise<void> => {
        for await (const part of stream) seen.push(part)
      }
      await expect(read()).rejects.toThrow('not numbers (NaN) after 1 token')
      expect(JSON.stringify(seen)).toContain('"A"')
    }
  })

  it('429 is tried again by the client, after the time that the server names', async () => {
    const patient = client.withOptions({ maxRetries: 2 })
    const left = new AbortController()
    const busy = client.completions
      .create({ ...asked, prompt: 'wait', n: 20 }, { signal: left.signal })
      .catch(() => undefined)
    await until(() => model.running === 1)
    const refused = client.completions.create({ ...asked, prompt: 'a' })
    await expect(refused).rejects.toThrow(OpenAI.RateLimitError)
    await expect(refused).rejects.toMatchObject({ code: 'queue_full' })
    const began = performance.now()
    const answered = patient.completions.create({ ...asked, prompt: 'a' })
    left.abort()
    await busy
    expect((await answered).choices[0].text).toBe('A')
    expect(performance.now() - began).toBeGreaterThan(900)
  })
})

describe('a client that leaves', () => {
  it('ends its request at once, streamed or not', async () => {
    const before = model.aborted
    const left = new AbortController()
    const waiting = client.completions.create({ ...asked, prompt: 'wait' }, { signal: left.signal })
    const settled = waiting.catch((error: unknown) => error)
    await until(() => model.running === 1)
    left.abort()
    expect(await settled).toBeInstanceOf(OpenAI.APIUserAbortError)
    await until(() => model.running === 0)
    const stream = await client.completions.create({ ...asked, prompt: 'endless', max_tokens: 50, stream: true })
    for await (const { choices } of stream) if (choices[0].text !== '') break
    await until(() => model.running === 0)
    expect(model.aborted).toBe(before + 2)
  })
})
