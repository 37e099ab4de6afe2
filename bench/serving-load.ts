/** Clients of a server of completions: each asks, reads its answer as it is generated, and asks again. */

export interface Asked {
  readonly prompt: readonly number[]
  readonly maxTokens: number
}

/** What a client saw of one answer. */
export interface Seen {
  readonly text: string
  /** Seconds until the first token. */
  readonly first: number
  /** Seconds between tokens. */
  readonly gaps: readonly number[]
}

/** The answers to all requests by `streams` clients at once, and the seconds that all of them took. */
export async function ask(
  url: string,
  model: string,
  requests: readonly Asked[],
  streams: number,
): Promise<{ seen: Seen[]; seconds: number }> {
  const seen = new Array<Seen>(requests.length)
  const start = performance.now()
  let next = 0
  const client = async (): Promise<void> => {
    while (next < requests.length) {
      const i = next++
      seen[i] = await askOnce(url, model, requests[i])
    }
  }
  await Promise.all(Array.from({ length: streams }, client))
  return { seen, seconds: (performance.now() - start) / 1000 }
}

async function askOnce(url: string, model: string, { prompt, maxTokens }: Asked): Promise<Seen> {
  const start = performance.now()
  const length = { max_tokens: maxTokens, min_tokens: maxTokens }
  // With experts, each token is an event, also one without text.
  const body = { model, prompt, ...length, temperature: 0, stream: true, return_experts: true }
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  const times: number[] = []
  let [text, rest] = ['', '']
  const decoder = new TextDecoder()
  for await (const bytes of response.body! as unknown as AsyncIterable<Uint8Array>) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = events.pop()!
    for (const event of events) {
      if (event === 'data: [DONE]') continue
      const { choices } = JSON.parse(event.slice('data: '.length)) as { choices: { text: string }[] }
      if (choices.length === 0) continue
      times.push(performance.now())
      text += choices[0].text
    }
  }
  const gaps = times.slice(1).map((time, i) => (time - times[i]) / 1000)
  return { text, first: (times[0] - start) / 1000, gaps }
}

/** The value that a share of the values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}
