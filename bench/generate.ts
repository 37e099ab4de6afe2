/**
 * Times generation against Hugging Face and, for dense models, CTranslate2 on the same weights, in turns on one
 * machine. docs/bench.md explains the output.
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
import { preset } from '../src/model/presets.js'
import { benchmarkModel, benchmarkRouter, NEW_TOKENS } from './model.js'
import { at, checkMachine, python, pythonHas } from './peers.js'
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
/** What a contestant measured with one batch size. */
interface Measured extends Racer {
  whole: number
  first: number
  results: Generated[]
  logits: number[][]
}

const ourselves = fileURLToPath(new URL('switchyard-generate.js', import.meta.url))

const { values: options } = parseArgs({
  options: {
    /** `bench`, the benchmark model; `t5-base`, random weights of T5-base's sizes. */
    shape: { type: 'string', default: 'bench' },
    experts: { type: 'string', default: '8,32,128' },
    /**
     * A folder of weights instead of the benchmark model: `switchyard init switch-base-8 FOLDER` makes one of real
     * size.
     */
    model: { type: 'string' },
    batches: { type: 'string', default: '1,16' },
    turns: { type: 'string', default: '5' },
    /** Leaves out contestants, by name. */
    without: { type: 'string', multiple: true, default: [] },
  },
})
if (!['bench', 't5-base'].includes(options.shape))
  throw new Error(`--shape must be bench or t5-base, not ${JSON.stringify(options.shape)}`)
const withPeers = checkMachine()

const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(1)} ms`
/** Whether a contestant computes with 8-bit kernels. */
const isInt8 = (name: string): boolean => name.endsWith('int8')
/** Median time of a token at batch 1, by the number of experts. */
const tokenSeconds = new Map<number, number>()

if (options.model !== undefined) await race(options.model, options.model)
else if (options.shape === 't5-base') {
  const { model, router } = preset('t5-1.0-base')
  await raceNew('t5-base', newWeights('t5-base', { ...model, dtype: 'float32' }, router, 0))
} else
  for (const experts of options.experts.split(',').map(Number))
    await raceNew(`${experts} experts`, benchmarkWeights(experts), experts)
const [fewest] = tokenSeconds.keys()
for (const [experts, seconds] of tokenSeconds)
  if (experts !== fewest)
    console.log(`a token with ${experts} experts / with ${fewest}: ${(seconds / tokenSeconds.get(fewest)!).toFixed(2)}`)

/** Runs all contestants on new weights. */
async function raceNew(title: string, weights: Weights, experts?: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-bench-'))
  try {
    await writeHfWeights(join(folder, 'model'), weights)
    await race(title, join(folder, 'model'), experts)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs all contestants in turns on one folder, and prints a table of their times. */
async function race(title: string, folder: string, experts?: number): Promise<void> {
  const { bytesPerToken, isDense } = await describe(folder)
  const racers: Racer[] = []
  const enter = async (name: string, command: string, args: readonly string[]): Promise<void> => {
    if (options.without.includes(name)) return
    const { contestant, ready } = await Contestant.start(name, command, args)
    racers.push({ name, contestant, loadSeconds: (ready as Ready & { loadSeconds: number }).loadSeconds })
  }
  try {
    if (withPeers) await enter('hf', python, [at('peers/hf_generate.py'), folder])
    if (withPeers && isDense && pythonHas('ctranslate2')) {
      await enter('ct2', python, [at('peers/ct2_generate.py'), folder])
      await enter('ct2 int8', python, [at('peers/ct2_generate.py'), folder, '--type', 'int8'])
    }
    await enter('switchyard', process.execPath, [ourselves, folder])
    await enter('switchyard int8', process.execPath, [ourselves, folder, '8'])
    const rows: string[][] = []
    for (const batch of options.batches.split(',').map(Number)) {
      const measured = await measure(racers, batch)
      const times = new Map(measured.map(({ name, whole }) => [name, whole]))
      const ratio = (whole: number, rival: string): string =>
        times.has(rival) ? (whole / times.get(rival)!).toFixed(2) : ''
      // All answers are compared with those of the first contestant that computes in float32.
      const reference = measured.find(({ name }) => !isInt8(name)) ?? measured[0]
      for (const { name, whole, first, results, logits, loadSeconds } of measured) {
        const token = (whole - first) / (NEW_TOKENS - 1)
        if (batch === 1 && name === 'switchyard' && experts !== undefined) tokenSeconds.set(experts, token)
        const bytes = isInt8(name) ? bytesPerToken / 4 : bytesPerToken
        rows.push([
          name,
          String(batch),
          milliseconds(whole),
          name === 'hf' ? '' : ratio(whole, 'hf'),
          name.startsWith('switchyard') ? ratio(whole, isInt8(name) ? 'ct2 int8' : 'ct2') : '',
          milliseconds(first),
          milliseconds(token),
          (batch / token).toFixed(0),
          batch === 1 ? `${(bytes / token / 1e9).toFixed(1)} GB/s` : '',
          `${loadSeconds.toFixed(1)} s`,
          `${(results.at(-1)!.peakRssBytes / 1e6).toFixed(0)} MB`,
          name === reference.name
            ? ''
            : `${sameAnswers(results[0], reference.results[0])}, ${relativeDifference(logits, reference.logits).toExponential(1)}`,
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
          '/ ct2',
          'first token',
          'each token',
          'tokens/s',
          'weights read',
          'load',
          'peak',
          `as ${racers[0].name}: answers, logits`,
        ],
        ...rows,
      ])}`,
    )
  } finally {
    for (const { contestant } of racers) await contestant.quit()
  }
}

/** Lets the contestants take turns with one batch size. The first turn does not count. Times are medians. */
async function measure(racers: readonly Racer[], batch: number): Promise<Measured[]> {
  const results = racers.map((): Generated[] => [])
  for (let turn = -1; turn < Number(options.turns); turn++) {
    for (const [i, { contestant }] of racers.entries()) {
      const result = await contestant.ask<Generated>(`generate ${batch}`)
      if (turn >= 0) results[i].push(result)
    }
  }
  const measured: Measured[] = []
  for (const [i, racer] of racers.entries()) {
    const { logits } = await racer.contestant.ask<{ logits: number[][] }>(`logits ${batch}`)
    const [whole, first] = (['seconds', 'firstSeconds'] as const).map(key => median(results[i].map(r => r[key])))
    measured.push({ ...racer, whole, first, results: results[i], logits })
  }
  return measured
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

/** The bytes of float32 weights that the decoder reads for one token, and whether the model has no experts. */
async function describe(folder: string): Promise<{ bytesPerToken: number; isDense: boolean }> {
  const { specs, model, close } = await openWeights(folder)
  await close()
  const read = specs.filter(s => s.path.startsWith('decoder/') || s.path.startsWith('token_embedder/'))
  return { bytesPerToken: 4 * countActiveParameters(read), isDense: model.numExperts === 0 }
}
