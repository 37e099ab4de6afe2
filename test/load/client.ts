import type { CompletionRequest } from './requests.js'

/** The answers to one request, and when their parts came. */
export interface Seen {
  /** The text of each answer. */
  readonly texts: readonly string[]
  /** The log-probabilities of the tokens of each answer. */
  readonly logprobs: readonly (readonly number[])[]
  /** Milliseconds until the first token. */
  readonly first: number
  /** Milliseconds between the parts of the stream. */
  readonly gaps: readonly number[]
}

/** The server answered with an error, by its status or within the stream. */
export class ErrorAnswer extends Error {
  override name = 'ErrorAnswer'
}

interface Part {
  readonly error?: { readonly message: string }
  readonly choices?: readonly {
    readonly index: number
    readonly text: string
    readonly logprobs: { readonly token_logprobs: readonly number[] } | null
  }[]
}

/** Sends a request and reads its answers as they are generated. */
export async function ask(url: string, request: CompletionRequest, signal?: AbortSignal): Promise<Seen> {
  const start = performance.now()
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...request, stream: true }),
    signal,
  })
  if (!response.ok) throw new ErrorAnswer(`${response.status} ${await response.text()}`)
  const [texts, logprobs, times]: [string[], number[][], number[]] = [[], [], []]
  for await (const data of dataOf(response)) {
    if (data === '[DONE]')
      return { texts, logprobs, first: times[0] - start, gaps: times.slice(1).map((time, i) => time - times[i]) }
    const { error, choices = [] } = JSON.parse(data) as Part
    if (error) throw new ErrorAnswer(error.message)
    times.push(performance.now())
    for (const { index, text, logprobs: told } of choices) {
      texts[index] = (texts[index] ?? '') + text
      ;(logprobs[index] ??= []).push(...(told?.token_logprobs ?? []))
    }
  }
  throw new Error('the stream ended without [DONE]')
}

/** The data of the events of a stream. */
async function* dataOf(response: Response): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of response.body! as unknown as AsyncIterable<Uint8Array>) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = events.pop()!
    for (const event of events) if (event.startsWith('data: ')) yield event.slice('data: '.length)
  }
}

/** How far the log-probabilities of two answers to the same request are apart; Infinity if they differ in tokens. */
export function distance(a: Seen, b: Seen): number {
  const isSame = a.texts.length === b.texts.length && a.texts.every((text, i) => text === b.texts[i])
  if (!isSame || a.logprobs.some((list, i) => list.length !== b.logprobs[i].length)) return Infinity
  const apart = a.logprobs.flatMap((list, i) => list.map((value, k) => Math.abs(value - b.logprobs[i][k])))
  return Math.max(0, ...apart)
}
