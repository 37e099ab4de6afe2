/** Times Switchyard against its peers, step by step in turn on one machine. docs/bench.md explains the output. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { shapes } from './model.js'
import type { ShapeName } from './model.js'
import { at, checkMachine, processor, python } from './peers.js'
import { Contestant } from './protocol.js'
import type { Gemm, Steps } from './protocol.js'
import { nameOfRace, report } from './results.js'
import type { Round, Timing } from './results.js'

const ourselves = fileURLToPath(new URL('switchyard-train.js', import.meta.url))

/** A model, and with the benchmark model the number of its experts. */
type Race = Pick<Round, 'shape' | 'experts'>

interface Entry {
  name: string
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
  stepsPerTurn: number
  /** Whether the contestant is too slow to step in every turn, and steps in the last one only. */
  slow?: boolean
}

function entriesOf({ shape, experts }: Race, stepsPerTurn: number, without: readonly string[]): Entry[] {
  const size = ['--shape', shape, '--experts', String(experts)]
  const own = (name: string, ...args: string[]): Entry => ({
    name,
    command: process.execPath,
    args: [ourselves, ...size, ...args],
    env: { SWITCHYARD_BACKEND: 'onnx' },
    stepsPerTurn,
  })
  const peer = (name: string, file: string): Entry => ({
    name,
    command: python,
    args: [at(`peers/${file}`), ...size],
    stepsPerTurn,
  })
  const all = [
    own('switchyard'),
    { ...own('xla'), env: { SWITCHYARD_BACKEND: 'xla' } },
    peer('jax', 'jax_train.py'),
    peer('hf', 'hf_train.py'),
    own('dropless', '--dropless'),
    own('dense', '--dense'),
    { ...own('op by op', '--op-by-op'), stepsPerTurn: 1, slow: true },
  ]
  // Of t5-small's shape there is one dense model, and no JAX.
  const entered = shape === 't5-small' ? all.filter(({ name }) => ['switchyard', 'xla', 'hf'].includes(name)) : all
  return entered.filter(({ name }) => !without.includes(name))
}

/**
 * Starts the contestants one after the other, so that no two compile at the same time, then lets them step in turns.
 */
async function race({ shape, experts }: Race, turns: number, entries: readonly Entry[]): Promise<Round> {
  const before = loadavg()
  const running = new Map<string, Contestant>()
  const contestants: { [name: string]: Timing } = {}
  const gemm: Gemm[] = []
  const turn = async ({ name, stepsPerTurn }: Entry, counts: boolean): Promise<void> => {
    const { stepSeconds, loss, peakRssBytes } = await running.get(name)!.ask<Steps>(`step ${stepsPerTurn}`)
    // The first step after another process ran is often slow, because that process has emptied the caches.
    if (counts) contestants[name].stepSeconds.push(...(stepsPerTurn > 1 ? stepSeconds.slice(1) : stepSeconds))
    Object.assign(contestants[name], { loss, peakRssBytes })
  }
  try {
    for (const entry of entries) {
      process.stderr.write(`starting ${entry.name} (${nameOfRace({ shape, experts })})\n`)
      try {
        const { contestant, ready } = await Contestant.start(
          entry.name,
          entry.command,
          entry.args,
          undefined,
          entry.env,
        )
        running.set(entry.name, contestant)
        contestants[entry.name] = { ready, stepSeconds: [], loss: NaN, peakRssBytes: ready.peakRssBytes }
        await turn(entry, false)
      } catch (error) {
        if (entry.name === 'switchyard') throw error
        process.stderr.write(`${entry.name} is left out: ${(error as Error).message}\n`)
        delete contestants[entry.name]
        running.delete(entry.name)
      }
    }
    for (let i = 0; i < turns; i++) {
      process.stderr.write(`turn ${i + 1} of ${turns}\n`)
      gemm.push(await running.get('switchyard')!.ask<Gemm>('gemm 5'))
      for (const entry of entries)
        if (running.has(entry.name) && (!entry.slow || i === turns - 1)) await turn(entry, true)
    }
  } finally {
    for (const contestant of running.values()) await contestant.quit()
  }
  return { shape, experts, load: { before, after: loadavg() }, gemm, contestants }
}

const { values: options } = parseArgs({
  options: {
    shape: { type: 'string', default: 'bench' },
    experts: { type: 'string', default: '8,32' },
    turns: { type: 'string', default: '5' },
    steps: { type: 'string', default: '4' },
    without: { type: 'string', multiple: true, default: [] },
  },
})
const without = [...options.without]
if (!checkMachine()) without.push('jax', 'hf')
const rounds: Round[] = []
if (!(options.shape in shapes)) throw new Error(`--shape ${options.shape}: one of ${Object.keys(shapes)} is needed`)
const shape = options.shape as ShapeName
const races: Race[] =
  shape === 'bench' ? options.experts.split(',').map(n => ({ shape, experts: Number(n) })) : [{ shape, experts: 0 }]
for (const each of races) {
  const round = await race(each, Number(options.turns), entriesOf(each, Number(options.steps), without))
  rounds.push(round)
  console.log(report(round))
}

mkdirSync(at('results'), { recursive: true })
const file = at(`results/${new Date().toISOString().slice(0, 16).replace(':', '-')}.json`)
writeFileSync(
  file,
  `${JSON.stringify({ date: new Date().toISOString(), node: process.version, cpu: processor(), rounds }, null, 2)}\n`,
)
console.log(`\nWritten to ${file}.`)
