/**
 * Times `switchyard serve` under load against closed batches of the same model, in turns on one machine. docs/bench.md
 * explains the output.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/base/format.js'
import { writeHfWeights } from '../src/checkpoint/names/hf-folder.js'
import { newWeights } from '../src/checkpoint/weights.js'
import { benchmarkModel, benchmarkRouter, randomTokens } from './model.js'
import { at, checkMachine } from './peers.js'
import { Contestant } from './protocol.js'
import type { Ready } from './protocol.js'
import { median } from './results.js'
import { startServer } from './served.js'
import { ask, percentile } from './serving-load.js'
import type { Asked, Seen } from './serving-load.js'

const { values: options } = parseArgs({
  options: {
    experts: { type: 'string', default: '8' },
    streams: { type: 'string', default: '32' },
    requests: { type: 'string', default: '256' },
    turns: { type: 'string', default: '3' },
  },
})
const [experts, streams, count, turns] = [options.experts, options.streams, options.requests, options.turns].map(Number)

/** The mean of the answers' lengths, which fall off exponentially, and the longest. */
const MEAN_TOKENS = 24
const MOST_TOKENS = 128
/** The longest input; lengths are spread evenly. */
const MOST_INPUT = 64

checkMachine()
const folder = await mkdtemp(join(tmpdir(), 'switchyard-bench-'))
const model = join(folder, 'model')
try {
  // T5's vocabulary, whose ids the model must have.
  const config = { ...benchmarkModel(experts), vocabSize: 32_128, initScale: 1 }
  await writeHfWeights(model, newWeights('benchmark', config, { ...benchmarkRouter, expertCapacity: 64 }, 0))
  await cp(at('../assets/t5-vocab'), model, { recursive: true })
  await race()
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function race(): Promise<void> {
  const server = await startServer(model)
  const closed = await Contestant.start('closed batches', process.execPath, [
    fileURLToPath(new URL('closed-batches.js', import.meta.url)),
    model,
  ])
  try {
    const requests = requestsOf(count)
    const racers = [
      { name: 'closed batches', url: (closed.ready as Ready & { url: string }).url, results: [] as Result[] },
      { name: 'switchyard serve', url: server.url, results: [] as Result[] },
    ]
    for (let turn = -1; turn < turns; turn++) {
      for (const racer of racers) {
        const result = await ask(racer.url, 'model', requests, streams)
        if (turn >= 0) racer.results.push(result)
      }
    }
    print(
      racers,
      requests.reduce((sum, { maxTokens }) => sum + maxTokens, 0),
    )
  } finally {
    await closed.contestant.quit()
    await server.stop()
  }
}

interface Result {
  seen: Seen[]
  seconds: number
}

/** Every answer has as many tokens as its request allows. */
function print(racers: readonly { name: string; results: readonly Result[] }[], numTokens: number): void {
  const rows = racers.map(({ name, results }) => {
    const of = (f: (result: Result) => number): number => median(results.map(f))
    const firsts = ({ seen }: Result): number[] => seen.map(({ first }) => first)
    const gaps = ({ seen }: Result): number[] => seen.flatMap(answer => answer.gaps)
    const tokens = of(({ seconds }) => numTokens / seconds)
    const shares = [0.5, 0.99].flatMap(share => [
      of(result => percentile(firsts(result), share)),
      of(result => percentile(gaps(result), share)),
    ])
    return { name, values: [tokens, ...shares] }
  })
  const [theirs, ours] = rows.map(({ values }) => values)
  const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(1)} ms`
  const line = ([tokens, ...times]: number[]): string[] => [tokens.toFixed(0), ...times.map(milliseconds)]
  console.log(
    `\n${count} requests by ${streams} clients, ${experts} experts; load average ${loadavg()
      .map(x => x.toFixed(1))
      .join(' ')}\n${formatTable([
      ['', 'tokens/s', 'first token p50', 'between tokens p50', 'first token p99', 'between tokens p99'],
      ...rows.map(({ name, values }) => [name, ...line(values)]),
      ['serve / closed', ...ours.map((value, i) => (value / theirs[i]).toFixed(2))],
    ])}`,
  )
  const [closed, served] = racers.map(({ results }) => results[0].seen)
  const same = served.filter(({ text }, i) => text === closed[i].text).length
  console.log(`${same} of ${served.length} answers are the same`)
}

/** Requests with inputs and answers of mixed lengths, the same on every run. */
function requestsOf(n: number): Asked[] {
  const shares = randomTokens(1, 2 * n)
  return Array.from({ length: n }, (_, i) => {
    const [long, deep] = [shares[2 * i] / 8000, shares[2 * i + 1] / 8000]
    const length = Math.ceil(long * MOST_INPUT)
    const maxTokens = Math.min(MOST_TOKENS, Math.ceil(-MEAN_TOKENS * Math.log(deep)))
    return { prompt: [...randomTokens(i + 2, length)], maxTokens: Math.max(1, maxTokens) }
  })
}
