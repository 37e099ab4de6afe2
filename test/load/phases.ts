import { setTimeout as sleep } from 'node:timers/promises'
import { ask, distance, ErrorAnswer } from './client.js'
import type { Seen } from './client.js'
import type { CompletionRequest } from './requests.js'

/** What a phase has found: rows of the table, and what is wrong. */
export interface Found {
  readonly rows: readonly (readonly [what: string, value: string])[]
  readonly problems: readonly string[]
}

/** Log-probabilities may differ by this much from those of a request alone: sums are made in another order. */
const MOST_APART = 1e-5

/** A request, and the answers that it gets alone. */
export interface Solo {
  readonly request: CompletionRequest
  readonly seen: Seen
}

/** The answers to requests, each asked for alone. */
export async function soloAnswers(url: string, requests: readonly CompletionRequest[]): Promise<readonly Solo[]> {
  const answers: Solo[] = []
  for (const request of requests) answers.push({ request, seen: await ask(url, request) })
  return answers
}

/** What clients saw that asked one request after another. */
class Load {
  answers = 0
  wrong = 0
  apart = 0
  readonly errors: Error[] = []
  readonly firsts: number[] = []
  readonly gaps: number[] = []

  constructor(
    private readonly url: string,
    private readonly solo: readonly Solo[],
  ) {}

  /** Lets clients ask until `isOver`. Each begins at another request, and goes on in its own order. */
  async run(clients: number, isOver: () => boolean): Promise<void> {
    await Promise.all(
      Array.from({ length: clients }, async (_, client) => {
        for (let i = 31 * client; !isOver(); i += 7) await this.askOnce(this.solo[i % this.solo.length])
      }),
    )
  }

  private async askOnce({ request, seen: alone }: Solo): Promise<void> {
    try {
      const seen = await ask(this.url, request)
      this.answers++
      const apart = distance(seen, alone)
      if (apart > MOST_APART) this.wrong++
      else this.apart = Math.max(this.apart, apart)
      this.firsts.push(seen.first)
      for (const gap of seen.gaps) this.gaps.push(gap)
    } catch (error) {
      this.errors.push(error as Error)
    }
  }

  /** Problems that no load may have. */
  get problems(): string[] {
    const [first] = this.errors
    return [
      ...(this.answers === 0 ? ['there was no answer'] : []),
      ...(this.wrong > 0 ? [`${this.wrong} answers differ from those to the same requests alone`] : []),
      ...(first ? [`${this.errors.length} requests failed, the first with: ${first.message}`] : []),
    ]
  }
}

/** Many clients at once: every answer is that to the request alone. */
export async function concurrent(
  url: string,
  solo: readonly Solo[],
  { clients, seconds }: { readonly clients: number; readonly seconds: number },
): Promise<Found> {
  const load = new Load(url, solo)
  const end = performance.now() + 1000 * seconds
  await load.run(clients, () => performance.now() > end)
  const times = (values: readonly number[]): string =>
    `${percentile(values, 0.5).toFixed(0)} / ${percentile(values, 0.99).toFixed(0)} ms`
  return {
    rows: [
      [`${clients} clients, ${seconds} s: answers`, String(load.answers)],
      ['  wrong', String(load.wrong)],
      ['  lost', String(load.errors.length)],
      ['  log-probabilities apart', load.apart === 0 ? '0 (bits are equal)' : load.apart.toExponential(1)],
      ['  time to first token, p50 / p99', times(load.firsts)],
      ['  between tokens, p50 / p99', times(load.gaps)],
    ],
    problems: load.problems,
  }
}

/** Many requests: memory stays what it is after the first quarter of them. */
export async function flatMemory(
  url: string,
  solo: readonly Solo[],
  { count, memory }: { readonly count: number; readonly memory: () => readonly number[] | null },
): Promise<Found> {
  const load = new Load(url, solo)
  let asked = 0
  const upTo = (most: number): Promise<void> => load.run(32, () => asked++ >= most)
  await upTo(count / 4)
  const before = memory()
  asked = count / 4
  await upTo(count)
  const after = memory()
  const grown = before && after ? after.map((mebibytes, i) => mebibytes / before[i] - 1) : []
  const sizes = (all: readonly number[] | null): string => all?.map(size => size.toFixed(0)).join(' + ') ?? 'not told'
  return {
    rows: [
      [`${count} requests: answers`, String(load.answers)],
      ['  server + model in MiB, after a quarter', sizes(before)],
      ['  server + model in MiB, at the end', sizes(after)],
    ],
    problems: [
      ...load.problems,
      // The garbage collector and the allocator keep some memory, more or less of it.
      ...(grown.some(share => share > 0.15) ? ['memory has grown by more than 15%'] : []),
    ],
  }
}

/** Clients that leave at any moment: their requests leave the model, too. */
export async function aborted(url: string, requests: readonly CompletionRequest[], count: number): Promise<Found> {
  let left = 0
  const leave = async (client: number): Promise<void> => {
    const gone = AbortSignal.timeout((client * 7) % 100)
    await ask(url, requests[client % requests.length], gone).catch(() => left++)
  }
  for (let i = 0; i < count; i += 100) await Promise.all(Array.from({ length: 100 }, (_, k) => leave(i + k)))
  const start = performance.now()
  let stay = await inModel(url)
  // A busy machine takes its time, which is told.
  for (; stay > 0 && performance.now() - start < 20_000; stay = await inModel(url)) await sleep(20)
  const took = performance.now() - start
  return {
    rows: [
      [`${count} clients that leave: left before their answer`, String(left)],
      ['  requests in the model afterwards', String(stay)],
      ['  all were gone after', `${took.toFixed(0)} ms`],
    ],
    problems: stay > 0 ? [`${stay} requests of clients that left are still in the model`] : [],
  }
}

/** The model's process is killed under load: running requests fail with a 500 that says so, later ones are answered. */
export async function killed(url: string, solo: readonly Solo[], kill: () => void): Promise<Found> {
  const load = new Load(url, solo)
  const end = performance.now() + 8000
  const running = load.run(50, () => performance.now() > end)
  await sleep(2000)
  const before = load.answers
  kill()
  const start = performance.now()
  await sleep(50)
  const stopped = load.answers
  while (load.answers <= stopped && performance.now() < end) await sleep(5)
  const back = performance.now() - start
  await running
  const told = load.errors.filter(
    error => error instanceof ErrorAnswer && error.message.includes('has ended (SIGKILL) while it answered'),
  )
  const others = load.errors.find(error => !told.includes(error))
  const { status } = await fetch(`${url}/health`)
  return {
    rows: [
      ['kill -9 of the model among 50 clients: answers before, in all', `${before}, ${load.answers}`],
      ['  wrong', String(load.wrong)],
      ['  requests that failed and were told why', String(told.length)],
      ['  answers again after', `${back.toFixed(0)} ms`],
    ],
    problems: [
      ...(load.wrong > 0 ? [`${load.wrong} answers are wrong`] : []),
      ...(others ? [`a request failed in another way: ${others.message}`] : []),
      ...(told.length === 0 ? ['no request was told that the process has ended'] : []),
      ...(load.answers <= stopped || status !== 200 ? ['the model does not answer again'] : []),
    ],
  }
}

/** How many requests run or wait in the models. */
async function inModel(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const found = text.matchAll(/^vllm:num_requests_(?:running|waiting)\S* (\d+)/gm)
  return Array.from(found, ([, count]) => Number(count)).reduce((a, b) => a + b, 0)
}

/** The value that a share of the values does not exceed. */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}
