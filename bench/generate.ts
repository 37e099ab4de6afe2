/**
 * Times generation against Hugging Face on the same weights, in turns on one machine. docs/bench.md explains the
 * output.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/base/format.js'
import { writeHfWeights } from '../src/checkpoint/names/hf-folder.js'
import { newWeights } from '../src/checkpoint/weights.js'
import type { Weights } from '../src/checkpoint/weights.js'
import { openWeights } from '../src/open/open-weights.js'
import { countActiveParameters } from '../src/model/parameters.js'
import { benchmarkModel, benchmarkRouter, NEW_TOKENS } from './model.js'
import { at, checkMachine, python } from './peers.js'
import { Contestant } from './protocol.js'
import type { Ready } from './protocol.js'
import { median, relativeDifference } from './results.js'

interface Generated {
  seconds: number
  firstSeconds: number
  tokens: number[][]
  peakRssBytes: number
}
interface Racer {
  name: string
  contestant: Contestant
  loadSeconds: number
}

const ourselves = fileURLToPath(new URL('switchyard-generate.js', import.meta.url))

const { values: options } = parseArgs({
  options: {
    experts: { type: 'string', default: '8,32,128' },
    /**
     * A folder of weights instead of the benchmark model: `switchyard init switch-base-8 FOLDER` makes one of real
     * size.
     */
    model: { type: 'string' },
    batches: { type: 'string', default: '1,16' },
    turns: { type: 'string', default: '5' },
  },
})
const withPeer = checkMachine()

const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(1)} ms`
/** Median time of a token at batch 1, by the number of experts. */
const tokenSeconds = new Map<number, number>()

if (options.model !== undefined) await race(options.model, options.model)
else {
  for (const experts of options.experts.split(',').map(Number)) {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-bench-'))
    try {
      await writeHfWeights(join(folder, 'model'), benchmarkWeights(experts))
      await race(`${experts} experts`, join(folder, 'model'), experts)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}
const [fewest] = tokenSeconds.keys()
for (const [experts, seconds] of tokenSeconds)
  if (experts !== fewest)
    console.log(`a token with ${experts} experts / with ${fewest}: ${(seconds / tokenSeconds.get(fewest)!).toFixed(2)}`)

/** Runs all contestants in turns on one folder, and returns a table of their times. */
async function race(title: string, folder: string, experts?: number): Promise<void> {
  const bytesPerToken = await decoderBytes(folder)
  const racers: Racer[] = []
  const enter = async (name: string, command: string, args: readonly string[]): Promise<void> => {
    const { contestant, ready } = await Contestant.start(name, command, args)
    racers.push({ name, contestant, loadSeconds: (ready as Ready & { loadSeconds: number }).loadSeconds })
  }
  try {
    if (withPeer) await enter('hf', python, [at('peers/hf_generate.py'), folder])
    await enter('switchyard', process.execPath, [ourselves, folder])
    await enter('switchyard int8', process.execPath, [ourselves, folder, '8'])
    const rows: string[][] = []
    for (const batch of options.batches.split(',').map(Number)) {
      const results = racers.map((): Generated[] => [])
      for (let turn = -1; turn < Number(options.turns); turn++) {
        for (const [i, { contestant }] of racers.entries()) {
          const result = await contestant.ask<Generated>(`generate ${batch}`)
          if (turn >= 0) results[i].push(result)
        }
      }
      const logits = await Promise.all(
        racers.map(({ contestant }) => contestant.ask<{ logits: number[][] }>(`logits ${batch}`)),
      )
      for (const [i, { name, loadSeconds }] of racers.entries()) {
        const [whole, first] = (['seconds', 'firstSeconds'] as const).map(key => median(results[i].map(r => r[key])))
        const token = (whole - first) / (NEW_TOKENS - 1)
        if (batch === 1 && name === 'switchyard' && experts !== undefined) tokenSeconds.set(experts, token)
        const bytes = name === 'switchyard int8' ? bytesPerToken / 4 : bytesPerToken
        rows.push([
          name,
          String(batch),
          milliseconds(whole),
          withPeer && i > 0 ? (whole / median(results[0].map(r => r.seconds))).toFixed(2) : '',
          milliseconds(first),
          milliseconds(token),
          (batch / token).toFixed(0),
          batch === 1 ? `${(bytes / token / 1e9).toFixed(1)} GB/s` : '',
          `${loadSeconds.toFixed(1)} s`,
          `${(results[i].at(-1)!.peakRssBytes / 1e6).toFixed(0)} MB`,
          withPeer && i > 0
            ? `${sameAnswers(results[i][0], results[0][0])}, ${relativeDifference(logits[i].logits, logits[0].logits).toExponential(1)}`
            : '',
        ])
      }
    }
    console.log(
      `\n${title}; ${(bytesPerToken / 1e6).toFixed(1)} MB of float32 weights a token; load average ${loadavg()
        .map(x => x.toFixed(1))
        .join(' ')}\n${formatTable([
        [
          '',
          'batch',
          `${NEW_TOKENS} tokens`,
          '/ hf',
          'first token',
          'each token',
          'tokens/s',
          'weights read',
          'load',
          'peak',
          'as hf: answers, logits',
        ],
        ...rows,
      ])}`,
    )
  } finally {
    for (const { contestant } of racers) await contestant.quit()
  }
}

/** How many inputs both answered with the same tokens. */
function sameAnswers(ours: Generated, theirs: Generated): string {
  const same = ours.tokens.filter((tokens, i) => tokens.join() === theirs.tokens[i].join()).length
  return `${same} of ${ours.tokens.length}`
}

/** New weights of the benchmark model, with room for every token in Hugging Face's experts. */
function benchmarkWeights(experts: number): Weights {
  return newWeights(
    'benchmark',
    { ...benchmarkModel(experts), initScale: 1 },
    { ...benchmarkRouter, expertCapacity: 64 },
    0,
  )
}

/** The bytes of float32 weights that the decoder reads for one token. */
async function decoderBytes(folder: string): Promise<number> {
  const { specs, close } = await openWeights(folder)
  await close()
  return (
    4 * countActiveParameters(specs.filter(s => s.path.startsWith('decoder/') || s.path.startsWith('token_embedder/')))
  )
}
