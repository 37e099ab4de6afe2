/**
 * Measures Switchyard on one GPU beside JAX's own code, within a time limit: bench/gpu/run.sh runs it on a machine
 * without Node. Each part runs in processes of its own and has a limit of its own. The file of results is written again
 * after each part, so that a part that fails or hangs loses nothing of the others.
 */
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeHfWeights } from '../../src/checkpoint/names/hf-folder.js'
import { newWeights } from '../../src/checkpoint/weights.js'
import { deviceNamed } from '../../src/plan/devices.js'
import { benchmarkModel, benchmarkRouter, NEW_TOKENS } from '../model.js'
import type { ShapeName } from '../model.js'
import { at } from '../peers.js'
import { Contestant } from '../protocol.js'
import type { Gemm, Steps, SwitchyardReady } from '../protocol.js'
import { median } from '../results.js'

/** The path of a compiled program of bench/. */
const program = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))
const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: 'figures.json' },
    /** Seconds for everything. */
    limit: { type: 'string', default: '345' },
    python: { type: 'string', default: 'python3' },
    /** Small shapes and few turns, to try this program on a processor. */
    small: { type: 'boolean', default: false },
  },
})
const end = performance.now() + 1000 * Number(options.limit)
const secondsLeft = (): number => (end - performance.now()) / 1000

/** One of so many cases of the conformance suite is run: a GPU's programs take long to compile. */
const SHARE = 8

interface Part {
  readonly name: string
  /** The most seconds that it may take. */
  readonly seconds: number
  /** Adds what it finds to `figures` as soon as it is known. Everything must be given up when `signal` is aborted. */
  run(figures: Record<string, unknown>, signal: AbortSignal): Promise<void>
}

const pretraining: ShapeName = options.small ? 'switch-tiny' : 'switch-base-8'
const parts: readonly Part[] = [
  { name: 'doctor', seconds: 30, run: doctor },
  { name: 'bench model', seconds: 70, run: (figures, signal) => race('bench', 'jax_train.py', figures, signal) },
  { name: pretraining, seconds: 140, run: (figures, signal) => race(pretraining, 'jax_switch.py', figures, signal) },
  { name: 'generation', seconds: 45, run: generation },
  { name: 'conformance', seconds: 300, run: conformance },
]

const results: { machine: object; parts: Record<string, Record<string, unknown>> } = { machine: machine(), parts: {} }
for (const part of parts) await runPart(part)

/** Runs a part within its limit and what is left of the whole, and records its figures or why it ended. */
async function runPart({ name, seconds, run }: Part): Promise<void> {
  const limit = Math.min(seconds, secondsLeft())
  const figures: Record<string, unknown> = {}
  results.parts[name] = figures
  const start = performance.now()
  if (limit < 5) figures.error = 'no time was left'
  else {
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), 1000 * limit)
    const aborted = new Promise<never>((_, reject) =>
      controller.signal.addEventListener('abort', () => reject(new Error(`ended after ${limit.toFixed(0)} s`))),
    )
    try {
      await Promise.race([run(figures, controller.signal), aborted])
    } catch (error) {
      figures.error = (error as Error).message
    } finally {
      clearTimeout(timer)
      // Ends the processes that are still running.
      controller.abort()
    }
  }
  figures.seconds = (performance.now() - start) / 1000
  writeFileSync(options.out, `${JSON.stringify(results, null, 2)}\n`)
  console.log(`${name}: ${summary(figures)}`)
}

/** The figures of a part in one line; lists are left out. */
function summary(figures: Record<string, unknown>): string {
  return Object.entries(figures)
    .filter(([, value]) => typeof value !== 'object')
    .map(([key, value]) => `${key} ${typeof value === 'number' ? Number(value.toPrecision(4)) : String(value)}`)
    .join(', ')
}

function machine(): object {
  const [name, driver, memory] = output('nvidia-smi', [
    '--query-gpu=name,driver_version,memory.total',
    '--format=csv,noheader',
  ]).split(', ')
  const versions =
    'import importlib.metadata as m; print(*[f"{d.name} {d.version}" for d in m.distributions()], sep="\\n")'
  return {
    gpu: name || 'none',
    driver,
    memory,
    processor: `${cpus().length} x ${cpus()[0].model}`,
    memoryBytes: totalmem(),
    node: process.version,
    plugin: process.env.SWITCHYARD_PJRT_PLUGIN,
    python: output(options.python, ['-c', versions])
      .split('\n')
      .filter(line => /^(jax|nvidia|numpy|lammps)/.test(line)),
  }
}

/** What a program prints; nothing if it fails or does not exist. */
function output(command: string, args: readonly string[]): string {
  return spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 }).stdout?.trim() ?? ''
}

async function doctor(figures: Record<string, unknown>, signal: AbortSignal): Promise<void> {
  const lines: string[] = []
  figures.lines = lines
  await linesOf([at('../bin/switchyard.js'), 'doctor'], signal, line => lines.push(line))
}

/** Runs a Node program and hands over each line that it prints. Throws an Error if it fails. */
async function linesOf(args: readonly string[], signal: AbortSignal, onLine: (line: string) => void): Promise<void> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  signal.addEventListener('abort', () => child.kill('SIGKILL'))
  let lastWords = ''
  child.stderr.on('data', (text: Buffer) => (lastWords = (lastWords + text.toString()).slice(-2000)))
  for await (const line of createInterface({ input: child.stdout })) onLine(line)
  const code = child.exitCode ?? (await new Promise(resolve => child.once('exit', resolve)))
  if (code !== 0) throw new Error(`${args[0]} ended with ${String(code)}: ${lastWords}`)
}

/** Training steps of Switchyard and of JAX in turns. Both compile at the same time, before the first step. */
async function race(
  shape: ShapeName,
  peer: string,
  figures: Record<string, unknown>,
  signal: AbortSignal,
): Promise<void> {
  const args = ['--shape', shape]
  const start = async (name: string, command: string, file: string): Promise<Contestant> => {
    const { contestant, ready } = await Contestant.start(name, command, [file, ...args], signal)
    figures[`${name} ready`] = ready
    return contestant
  }
  const entered = await Promise.allSettled([
    start('switchyard', process.execPath, program('switchyard-train.js')),
    start('jax', options.python, at(`peers/${peer}`)),
  ])
  const running = entered.flatMap(entry => (entry.status === 'fulfilled' ? [entry.value] : []))
  const problems = entered.flatMap(entry => (entry.status === 'rejected' ? [String(entry.reason)] : []))
  if (running.length === 0) throw new Error(problems.join('; '))
  if (problems.length > 0) figures.problem = problems.join('; ')
  const seconds: Record<string, number[]> = {}
  // The first steps are not counted: they may compile kernels, or allocate memory.
  for (const contestant of running) await contestant.ask<Steps>('step 3')
  for (let turn = 0; turn < (options.small ? 2 : 6); turn++)
    for (const contestant of running) {
      const { stepSeconds, loss } = await contestant.ask<Steps>(`step ${options.small ? 2 : 10}`)
      seconds[contestant.name] = [...(seconds[contestant.name] ?? []), ...stepSeconds]
      figures[`${contestant.name} step seconds`] = median(seconds[contestant.name])
      figures[`${contestant.name} loss`] = loss
      addRatios(figures, seconds)
    }
  const jax = running.find(({ name }) => name === 'jax')
  if (jax && peer === 'jax_switch.py') {
    const { flopsPerSecond } = await jax.ask<Gemm>('gemm 5')
    figures['large product, FLOP/s'] = flopsPerSecond
    addRatios(figures, seconds, flopsPerSecond)
  }
  await Promise.all(running.map(contestant => contestant.quit()))
}

/** The figures that goals are set for: our step by JAX's, and the share of the GPU's peak in bfloat16. */
function addRatios(figures: Record<string, unknown>, seconds: Record<string, number[]>, product?: number): void {
  const { switchyard, jax } = seconds
  if (switchyard && jax) figures['switchyard / jax'] = median(switchyard) / median(jax)
  const ready = figures['switchyard ready'] as SwitchyardReady | undefined
  if (!switchyard || !ready) return
  const speed = ready.flops / median(switchyard)
  figures['FLOP/s'] = speed
  const kind = /H200|H100|A100/.exec((results.machine as { gpu: string }).gpu)?.[0].toLowerCase()
  if (kind)
    figures['share of the published peak'] = speed / deviceNamed(kind === 'a100' ? 'a100-80' : kind).flops.bfloat16
  if (product) figures['share of a large product'] = speed / product
}

/** Greedy answers of the benchmark model, one and 16 at a time. */
async function generation(figures: Record<string, unknown>, signal: AbortSignal): Promise<void> {
  const folder = join(await mkdtemp(join(tmpdir(), 'switchyard-gpu-')), 'model')
  await writeHfWeights(folder, newWeights('bench', benchmarkModel(8), benchmarkRouter, 0))
  const { contestant, ready } = await Contestant.start(
    'switchyard',
    process.execPath,
    [program('switchyard-generate.js'), folder],
    signal,
  )
  figures.ready = ready
  for (const batch of options.small ? [1] : [1, 16]) {
    const times: number[] = []
    for (let turn = 0; turn < (options.small ? 2 : 5); turn++) {
      const { seconds, firstSeconds } = await contestant.ask<{ seconds: number; firstSeconds: number }>(
        `generate ${batch}`,
      )
      times.push((seconds - firstSeconds) / (NEW_TOKENS - 1))
      // The first answer compiles.
      figures[`seconds a token, ${batch} answers`] = Math.min(...times)
    }
  }
  await contestant.quit()
}

async function conformance(figures: Record<string, unknown>, signal: AbortSignal): Promise<void> {
  const failures: object[] = []
  Object.assign(figures, { passed: 0, failed: 0, failures })
  await linesOf([program('gpu/conformance.js'), String(SHARE)], signal, line => {
    const result = JSON.parse(line) as { test: string; passed: boolean; error?: string }
    figures[result.passed ? 'passed' : 'failed'] = (figures[result.passed ? 'passed' : 'failed'] as number) + 1
    if (!result.passed) failures.push({ test: result.test, error: result.error?.slice(0, 1000) })
  })
}
