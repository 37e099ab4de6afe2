/** Times generation against Hugging Face on the same weights, in turns on one machine. How to read what comes out: docs/bench.md. */
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/base/format.js'
import { writeHfWeights } from '../src/checkpoint/names/hf-weights.js'
import { newWeights } from '../src/checkpoint/weights.js'
import { countActiveParameters } from '../src/model/parameters.js'
import { benchmarkModel, benchmarkRouter, NEW_TOKENS } from './model.js'
import { at, checkMachine, python } from './peers.js'
import { Contestant } from './protocol.js'
import { median } from './results.js'

interface Generated { seconds: number; firstSeconds: number; tokens: number[][]; peakRssBytes: number }

const ourselves = fileURLToPath(new URL('switchyard-generate.js', import.meta.url))

const { values: options } = parseArgs({
  options: { experts: { type: 'string', default: '8,32,128' }, batches: { type: 'string', default: '1,16' }, turns: { type: 'string', default: '5' } },
})
const withPeer = checkMachine()

const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(1)} ms`
/** Median time of a token at batch 1, by the number of experts. */
const tokenSeconds = new Map<number, number>()
for (const experts of options.experts.split(',').map(Number)) await race(experts)
const [fewest] = tokenSeconds.keys()
for (const [experts, seconds] of tokenSeconds) if (experts !== fewest) console.log(`a token with ${experts} experts / with ${fewest}: ${(seconds / tokenSeconds.get(fewest)!).toFixed(2)}`)

async function race(experts: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-bench-'))
  const running: Contestant[] = []
  try {
    const bytesPerToken = await writeModel(join(folder, 'model'), experts)
    running.push((await Contestant.start('switchyard', process.execPath, [ourselves, join(folder, 'model')])).contestant)
    if (withPeer) running.push((await Contestant.start('hf', python, [at('peers/hf_generate.py'), join(folder, 'model')])).contestant)
    const rows: string[][] = []
    for (const batch of options.batches.split(',').map(Number)) {
      const results = running.map((): Generated[] => [])
      for (let turn = -1; turn < Number(options.turns); turn++) {
        for (const [i, contestant] of running.entries()) {
          const result = await contestant.ask<Generated>(`generate ${batch}`)
          if (turn >= 0) results[i].push(result)
        }
      }
      const [ours, theirs] = results.map(list => ({ whole: median(list.map(r => r.seconds)), first: median(list.map(r => r.firstSeconds)), peak: list.at(-1)!.peakRssBytes }))
      const token = (ours.whole - ours.first) / (NEW_TOKENS - 1)
      if (batch === 1) tokenSeconds.set(experts, token)
      rows.push([String(experts), String(batch), milliseconds(ours.whole), theirs ? milliseconds(theirs.whole) : '', theirs ? (ours.whole / theirs.whole).toFixed(2) : '',
        milliseconds(ours.first), theirs ? milliseconds(theirs.first) : '', milliseconds(token), batch === 1 ? `${(bytesPerToken / token / 1e9).toFixed(1)} GB/s` : '',
        `${(ours.peak / 1e6).toFixed(0)} MB`, theirs ? `${(theirs.peak / 1e6).toFixed(0)} MB` : '', theirs ? sameAnswers(results[0][0], results[1][0]) : ''])
    }
    console.log(`\nload average ${loadavg().map(x => x.toFixed(1)).join(' ')}\n${formatTable([
      ['experts', 'batch', `${NEW_TOKENS} tokens`, 'hf', 'ratio', 'first token', 'hf', 'each token', 'weights read', 'peak', 'hf', 'same answers'], ...rows])}`)
  } finally {
    for (const contestant of running) await contestant.quit()
    await rm(folder, { recursive: true, force: true })
  }
}

/** How many inputs both answered with the same tokens. */
function sameAnswers(ours: Generated, theirs: Generated): string {
  const same = ours.tokens.filter((tokens, i) => tokens.join() === theirs.tokens[i].join()).length
  return `${same} of ${ours.tokens.length}`
}

/** Writes new weights of the benchmark model; returns how many bytes of them one decoder token meets. */
async function writeModel(folder: string, experts: number): Promise<number> {
  const weights = newWeights('benchmark', { ...benchmarkModel(experts), initScale: 1 }, { ...benchmarkRouter, expertCapacity: 64 }, 0)
  await writeHfWeights(folder, weights)
  return 4 * countActiveParameters(weights.specs.filter(s => s.path.startsWith('decoder/') || s.path.startsWith('token_embedder/')))
}
