/** What the page asks of the server, and what the server answers: parts of `/v1/models` and `/v1/completions`. */

export interface Model {
  readonly id: string
  readonly parameters: number
  readonly experts: { readonly encoder: readonly number[]; readonly decoder: readonly number[] }
}

export interface Token {
  readonly text: string
  readonly probability?: number
  /** The most probable tokens at its place, and their probabilities. */
  readonly top?: readonly (readonly [text: string, probability: number])[]
  /** The experts that it met, for each sparse layer. */
  readonly experts?: readonly (readonly number[])[]
}

interface TokenExperts {
  readonly token: string
  readonly experts: readonly (readonly number[])[] | null
}

interface Choice {
  readonly index: number
  readonly text: string
  readonly finish_reason: string | null
  readonly logprobs: {
    readonly tokens: readonly string[]
    readonly token_logprobs: readonly (number | null)[]
    readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[]
  } | null
  readonly experts?: readonly TokenExperts[]
}

/** One event of an answer that is streamed. */
export interface Chunk {
  readonly choices: readonly Choice[]
  readonly input_experts?: readonly (readonly TokenExperts[])[]
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
}

/** The tokens of a part of an answer. */
export function tokensOf({ logprobs, experts = [] }: Choice): Token[] {
  if (logprobs === null) return []
  return logprobs.tokens.map((text, i) => ({
    text,
    probability: Math.exp(logprobs.token_logprobs[i] ?? NaN),
    top: Object.entries(logprobs.top_logprobs[i] ?? {}).map(([other, logprob]) => [other, Math.exp(logprob)] as const),
    experts: experts[i]?.experts ?? undefined,
  }))
}

/** The tokens of the input, with the experts that they met in the encoder. */
export const inputTokensOf = ({ input_experts = [] }: Chunk): Token[] =>
  input_experts.flat().map(({ token, experts }) => ({ text: token, experts: experts ?? undefined }))

/** Asks the server. Rejects with its message if it refuses. */
async function ask(path: string, key: string, init: RequestInit = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json', ...(key !== '' && { authorization: `Bearer ${key}` }) }
  const response = await fetch(path, { ...init, headers })
  if (response.ok) return response
  const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null
  throw new Error(body?.error?.message ?? `the server answered ${response.status} ${response.statusText}`)
}

/** The models that the server has. */
export async function listModels(key: string): Promise<readonly Model[]> {
  const response = await ask('v1/models', key)
  return ((await response.json()) as { data: Model[] }).data
}

/** The events of an answer to a request. */
export async function* complete(request: object, key: string, signal: AbortSignal): AsyncGenerator<Chunk> {
  const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } })
  const response = await ask('v1/completions', key, { method: 'POST', body, signal })
  for await (const data of eventsOf(response.body!)) {
    if (data === '[DONE]') return
    const event = JSON.parse(data) as Chunk & { error?: { message: string } }
    if (event.error) throw new Error(event.error.message)
    yield event
  }
}

/** The data of each server-sent event: lines `data: ...`, with an empty line after each event. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const events = (rest + value).split('\n\n')
      rest = events.pop()!
      for (const event of events) if (event.startsWith('data: ')) yield event.slice('data: '.length)
    }
  } finally {
    await reader.cancel()
  }
}
