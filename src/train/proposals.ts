import { formatBytes } from '../base/format.js'
import { countParameters, declareParameters } from '../model/parameters.js'
import type { RunConfig, TrainConfig } from './config.js'
import type { StateBytes } from './state-bytes.js'
import { declareAdapters } from './trainable/adapters.js'

/** A run with less memory: the settings to change, and what they cost. */
interface Smaller {
  readonly settings: readonly string[]
  readonly note?: string
  readonly config: RunConfig
  readonly state: StateBytes
}

type Measure = (run: Smaller) => readonly Smaller[]

/** An estimate of the memory of a run, in bytes. */
export type Estimate = (config: RunConfig, state: StateBytes) => number

const MOST_PROPOSED = 3

/**
 * The settings with which a run would fit into the free memory, as a sentence: up to three that suffice alone, those
 * first that change least; or else several together.
 */
export function proposeSmaller(config: RunConfig, state: StateBytes, free: number, estimate: Estimate): string {
  const whole: Smaller = { settings: [], config, state }
  const fits = (run: Smaller): boolean => estimate(run.config, run.state) <= free
  const alone = measures.flatMap(measure => measure(whole).find(fits) ?? []).slice(0, MOST_PROPOSED)
  if (alone.length === 1) return `${described(alone[0])} would fit`
  if (alone.length > 1) return `one of these would fit: ${alone.map(described).join('; ')}`
  let together = whole
  for (const measure of [withoutCopy, inParts, withRemat, adaptersOnly, byAdafactor]) {
    // The last of a measure's variants takes the least memory.
    together = measure(together).at(-1) ?? together
    if (fits(together)) return `${listed(together)} together would fit`
  }
  const least = estimate(together.config, together.state)
  const all = together.settings.length > 0 ? `; even with ${listed(together)} it takes ${formatBytes(least)}` : ''
  return `take a machine with more, or a smaller model${all}`
}

const listed = ({ settings }: Smaller): string => settings.join(' ')

const described = (run: Smaller): string => (run.note === undefined ? listed(run) : `${listed(run)} (${run.note})`)

const changed = (
  run: Smaller,
  train: Partial<TrainConfig>,
  settings: readonly string[],
  { note, state = run.state }: { note?: string; state?: StateBytes } = {},
): Smaller => ({
  settings: [...run.settings, ...settings],
  note,
  config: { ...run.config, train: { ...run.config.train, ...train } },
  state,
})

/** `n`, halved as long as it is `least` or more. */
const halves = (n: number, least: number): number[] => {
  const smaller = n >> 1
  return smaller < least ? [] : [smaller, ...halves(smaller, least)]
}

const inParts: Measure = run => {
  const { rows, accumulate: now } = run.config.train
  return Array.from({ length: rows }, (_, i) => i + 1)
    .filter(parts => parts > now && rows % parts === 0)
    .map(accumulate =>
      changed(run, { accumulate }, [`train.accumulate=${accumulate}`], {
        note: `the same batch in ${accumulate} parts`,
      }),
    )
}

const withRemat: Measure = run =>
  run.config.train.remat
    ? []
    : [changed(run, { remat: true }, ['train.remat=true'], { note: 'about a third more time' })]

const withoutCopy: Measure = run =>
  run.config.train.asyncSave
    ? [
        changed(run, { asyncSave: false }, ['train.asyncSave=false'], {
          note: 'training waits while a checkpoint is saved',
        }),
      ]
    : []

/** Adafactor's state is the row and column means of each matrix: about a hundredth of the parameters. */
const byAdafactor: Measure = run => {
  const { train } = run.config
  if (train.optimizer.kind !== 'adamW' || train.lora.rank > 0) return []
  const state = { ...run.state, optimizer: 0.01 * run.state.params }
  return [changed(run, {}, ['train.optimizer.kind=adafactor'], { state })]
}

/** Only for fine-tuning: adapters of random weights would learn little. */
const adaptersOnly: Measure = run => {
  const { from, model, router, train } = run.config
  if (from === null || train.lora.rank > 0) return []
  const lora = { ...train.lora, rank: 8 }
  const specs = declareParameters(model, router)
  const params = 4 * countParameters(declareAdapters(specs, lora))
  const state = { params, optimizer: 2 * params, frozen: 4 * countParameters(specs) }
  return [changed(run, { lora }, ['train.lora.rank=8'], { note: 'low-rank adapters only', state })]
}

const shorterRows: Measure = run => {
  const { inputLength, targetLength } = run.config.train
  const side = (length: number, divisor: number): number => Math.min(length, Math.max(32, Math.ceil(length / divisor)))
  return halves(Math.max(inputLength, targetLength), 32).map((_, i) => {
    const lengths = { inputLength: side(inputLength, 2 ** (i + 1)), targetLength: side(targetLength, 2 ** (i + 1)) }
    const settings = Object.entries(lengths).map(([name, value]) => `train.${name}=${value}`)
    return changed(run, lengths, settings, { note: 'longer examples are left out' })
  })
}

const fewerRows: Measure = run =>
  halves(run.config.train.rows, 1)
    .filter(rows => rows % run.config.train.accumulate === 0)
    .map(rows => changed(run, { rows }, [`train.rows=${rows}`]))

const fewerExperts: Measure = run => {
  const { model, router, from } = run.config
  if (from !== null) return []
  const parameters = (numExperts: number): number =>
    countParameters(declareParameters({ ...model, numExperts }, router))
  return halves(model.numExperts, 1).map(numExperts => {
    const share = parameters(numExperts) / parameters(model.numExperts)
    const state = { params: run.state.params * share, optimizer: run.state.optimizer * share }
    const smaller = changed(run, {}, [`model.numExperts=${numExperts}`], { state })
    return { ...smaller, config: { ...smaller.config, model: { ...model, numExperts } } }
  })
}

/** Those that change the result least come first. */
const measures: readonly Measure[] = [
  withoutCopy,
  inParts,
  withRemat,
  byAdafactor,
  adaptersOnly,
  fewerRows,
  shorterRows,
  fewerExperts,
]
