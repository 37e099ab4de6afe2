/** Turns the measured times into ratios, compares them with the goals, and prints both. */
import type { ShapeName } from './model.js'
import type { Gemm, Ready, SwitchyardReady } from './protocol.js'

export interface Timing {
  ready: Ready
  stepSeconds: number[]
  loss: number
  peakRssBytes: number
}

/** One interleaved run of one model. */
export interface Round {
  shape: ShapeName
  experts: number
  load: { before: number[]; after: number[] }
  gemm: Gemm[]
  contestants: { [name: string]: Timing }
}

/** The model of a run, for a person. */
export const nameOfRace = ({ shape, experts }: Pick<Round, 'shape' | 'experts'>): string =>
  shape === 'bench' ? `${experts} experts` : shape

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The largest difference of rows of numbers, relative to the largest of `theirs`. */
export function relativeDifference(ours: readonly number[][], theirs: readonly number[][]): number {
  let [difference, largest] = [0, 0]
  theirs.forEach((row, i) =>
    row.forEach((x, k) => {
      difference = Math.max(difference, Math.abs(x - ours[i][k]))
      largest = Math.max(largest, Math.abs(x))
    }),
  )
  return difference / largest
}

export interface Comparison {
  what: string
  ours: number
  theirs: number
  unit: 's' | 'MB'
  /** The goal: ours / theirs is at most this. Undefined: there is no goal. */
  goal?: number
}

const MB = 1e6

/** The ratios of a run. Times are medians. */
export function compare({ shape, experts, gemm, contestants }: Round): Comparison[] {
  const ours = contestants.switchyard
  const ready = ours.ready as SwitchyardReady
  const step = median(ours.stepSeconds)
  const named = (name: string, f: (timing: Timing) => Comparison): Comparison[] =>
    name in contestants ? [f(contestants[name])] : []
  const starting = ({ ready: r }: Timing): number => r.traceSeconds + r.compileSeconds
  const ofXla = (f: (ours: Timing, theirs: Timing) => Comparison): Comparison[] =>
    'xla' in contestants && 'jax' in contestants ? [f(contestants.xla, contestants.jax)] : []
  return [
    ...named('jax', t => ({
      what: 'train step / JAX',
      ours: step,
      theirs: median(t.stepSeconds),
      unit: 's',
      goal: experts === 8 ? 0.8 : 0.9,
    })),
    ...named('hf', t => ({
      what: 'train step / Hugging Face',
      ours: step,
      theirs: median(t.stepSeconds),
      unit: 's',
      goal: shape === 't5-small' ? 0.8 : 0.7,
    })),
    ...named('jax', t => ({
      what: 'trace and compile / JAX',
      ours: starting(ours),
      theirs: starting(t),
      unit: 's',
      goal: 0.15,
    })),
    ...ofXla((ours, theirs) => ({
      what: 'train step on XLA / JAX',
      ours: median(ours.stepSeconds),
      theirs: median(theirs.stepSeconds),
      unit: 's',
      goal: 1,
    })),
    ...ofXla((ours, theirs) => ({
      what: 'trace and compile on XLA / JAX',
      ours: starting(ours),
      theirs: starting(theirs),
      unit: 's',
      goal: 1,
    })),
    ...named('dense', t => ({
      what: 'sparse / dense, same FLOPs a token',
      ours: step,
      theirs: median(t.stepSeconds),
      unit: 's',
      ...(experts === 8 ? { goal: 1.15 } : {}),
    })),
    ...named('op by op', t => ({
      what: 'whole program / op by op',
      ours: step,
      theirs: median(t.stepSeconds),
      unit: 's',
    })),
    ...named('jax', t => ({
      what: 'peak memory / JAX',
      ours: ours.peakRssBytes / MB,
      theirs: t.peakRssBytes / MB,
      unit: 'MB',
    })),
    ...named('hf', t => ({
      what: 'peak memory / Hugging Face',
      ours: ours.peakRssBytes / MB,
      theirs: t.peakRssBytes / MB,
      unit: 'MB',
      ...(shape === 't5-small' ? { goal: 1 } : {}),
    })),
    {
      what: 'peak memory / state and activations',
      ours: ours.peakRssBytes / MB,
      theirs: (ready.stateBytes + ready.activationBytes) / MB,
      unit: 'MB',
    },
    {
      what: 'train step / its matrix products alone',
      ours: step,
      theirs: ready.flops / Math.max(...gemm.map(g => g.flopsPerSecond)),
      unit: 's',
    },
  ]
}

const number = (x: number, unit: string): string =>
  unit === 'MB' ? `${x.toFixed(0)} MB` : x < 1 ? `${(1000 * x).toFixed(0)} ms` : `${x.toFixed(2)} s`

/** A run as text: the figures of each contestant, then the ratios with their goals. */
export function report(round: Round): string {
  const { load, gemm, contestants } = round
  const { backend, flops, nodes, fusedLoops } = contestants.switchyard.ready as SwitchyardReady
  const rows = Object.entries(contestants).map(([name, t]) => {
    const { traceSeconds, compileSeconds } = t.ready
    return [
      name,
      number(median(t.stepSeconds), 's'),
      `${number(Math.min(...t.stepSeconds), 's')} - ${number(Math.max(...t.stepSeconds), 's')}`,
      String(t.stepSeconds.length),
      number(traceSeconds, 's'),
      number(compileSeconds, 's'),
      number(t.ready.peakRssBytes / MB, 'MB'),
      number(t.peakRssBytes / MB, 'MB'),
      t.ready.parameters.toLocaleString('en'),
      t.loss.toFixed(3),
    ]
  })
  const ratios = compare(round).map(({ what, ours, theirs, unit, goal }) => {
    const ratio = ours / theirs
    return [
      what,
      number(ours, unit),
      number(theirs, unit),
      ratio.toFixed(2),
      goal === undefined ? '' : `<= ${goal}`,
      goal === undefined ? '' : ratio <= goal ? 'met' : 'missed',
    ]
  })
  const gflops = (x: number): string => `${(x / 1e9).toFixed(0)} GFLOP`
  return [
    `\n${nameOfRace(round)}. Load average before ${load.before.map(l => l.toFixed(1)).join(' ')}, after ${load.after.map(l => l.toFixed(1)).join(' ')}.`,
    `${backend}: ${nodes} nodes, ${fusedLoops} fused loops; ${(flops / 1e9).toFixed(1)} GFLOP a step, matrix products at ${gemm.map(g => gflops(g.flopsPerSecond)).join(', ')} a second.\n`,
    table(
      ['', 'step', 'from - to', 'steps', 'trace', 'compile', 'peak when ready', 'peak memory', 'parameters', 'loss'],
      rows,
    ),
    '',
    table(['', 'ours', 'theirs', 'ratio', 'goal', ''], ratios),
  ].join('\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map(r => r[i].length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((c, i) => (i === 0 ? c.padEnd(widths[i]) : c.padStart(widths[i])))
      .join('  ')
      .trimEnd()
  return [head, widths.map(w => '-'.repeat(w)), ...rows].map(line).join('\n')
}
