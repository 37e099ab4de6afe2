import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { didYouMean } from '../../base/suggest.js'
import { ConfigError } from '../../base/errors.js'
import { formatTable } from '../../base/format.js'
import { overrideConfig, overrideNewRun } from '../../config/overrides.js'
import { formatPercent } from '../../metrics/metric.js'
import type { RunConfig } from '../../train/config.js'
import type { Progress } from '../../train/reporter.js'
import type { Validation } from '../../train/validation.js'
import { Trainer } from '../../train/trainer.js'
import type { TrainerValues } from '../../train/values.js'
import { Exit } from '../shared/exit.js'
import { onInterrupt } from '../shared/interrupt.js'
import { findUserValues } from '../shared/user-config.js'

export interface RouterBenchOptions {
  steps: number
  only?: string[]
  set: string[]
}

/** The trainings that are compared, by name, with the settings in which they differ from the recipe. */
const variants: Readonly<Record<string, readonly string[]>> = {
  dense: ['model.encoderSparseEvery=0', 'model.decoderSparseEvery=0'],
  'top-1': [],
  'top-1, dropless': ['router.trainCapacityFactor=null'],
  'top-2': ['router.selectedExperts=2', 'router.trainCapacityFactor=2.5'],
  'top-2, prioritized': ['router.selectedExperts=2', 'router.trainCapacityFactor=2.5', 'router.batchPrioritized=true'],
  'experts choose': ['router.kind=expertsChoose', 'router.decoderKind=tokensChoose'],
  hash: ['router.kind=hash'],
  random: ['router.kind=random'],
  soft: ['router.kind=soft'],
}

/** What one training reached. */
interface Outcome {
  readonly name: string
  readonly loss: number
  readonly accuracy: number
  readonly secondsPerStep: number
  readonly dropped: number | undefined
  readonly deadExperts: number | undefined
}

/**
 * Trains the model of a recipe with each router, from the same seed and with the same batches, and prints a table:
 * validation loss and accuracy, the time of a step (the median) beside the first row's, and the last record's share of
 * dropped tokens and number of experts without tokens.
 */
export async function benchRouters(recipe: string, { steps, only, set }: RouterBenchOptions): Promise<void> {
  const names = only?.map(known) ?? Object.keys(variants)
  const run = await (await findUserValues()).runNamed(recipe)
  const base = overrideNewRun(run.config, [`train.steps=${steps}`, ...set])
  const outcomes: Outcome[] = []
  const interruption = onInterrupt(() => console.error('stopping after this step; Ctrl-C again quits at once'))
  try {
    for (const name of names) {
      const outcome = await trainOnce(name, base, run.values, interruption.signal)
      if (interruption.signal.aborted) break
      outcomes.push(outcome)
    }
  } finally {
    interruption.stop()
  }
  if (outcomes.length > 0) console.log(`\n${tableOf(outcomes)}`)
  if (interruption.signal.aborted) throw new Exit(130)
}

function known(name: string): string {
  if (Object.hasOwn(variants, name)) return name
  const all = Object.keys(variants)
  throw new ConfigError(
    `--only ${name}: there is no such router; ${didYouMean(name, all, `there are ${all.join('; ')}`)}`,
  )
}

/** Trains one variant in a temporary folder, with one validation at the end. */
async function trainOnce(name: string, base: RunConfig, values: TrainerValues, signal: AbortSignal): Promise<Outcome> {
  const { steps } = base.train
  const settings = [
    ...variants[name],
    `train.validateEvery=${steps}`,
    'train.validateAnswers=0',
    `train.checkpointEvery=${steps}`,
  ]
  let validation: Validation | undefined
  const trainer = await Trainer.begin(overrideConfig(base, settings), {
    ...values,
    onValidation: found => {
      validation = found
    },
  })
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-bench-'))
  const times: number[] = []
  let before = performance.now()
  let last: Progress | undefined
  try {
    await trainer.run(join(folder, 'run'), {
      signal,
      onProgress: progress => {
        times.push(performance.now() - before)
        before = performance.now()
        last = progress
        if (progress.step % Math.ceil(steps / 5) === 0)
          console.error(`${name}: step ${progress.step}/${steps}, loss ${progress.loss.toFixed(3)}`)
      },
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  const record = last?.record
  const figure = (key: string): number | undefined => (record && key in record ? Number(record[key]) : undefined)
  return {
    name,
    loss: validation?.loss ?? NaN,
    accuracy: validation?.accuracy ?? NaN,
    // The first steps compile and warm up.
    secondsPerStep: median(times.slice(Math.min(5, times.length - 1))) / 1000,
    dropped: figure('shareDropped'),
    deadExperts: figure('deadExperts'),
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

function tableOf(outcomes: readonly Outcome[]): string {
  const [first] = outcomes
  return formatTable([
    ['router', 'validation loss', 'tokens right', 'ms a step', `/ ${first.name}`, 'dropped', 'dead experts'],
    ...outcomes.map(({ name, loss, accuracy, secondsPerStep, dropped, deadExperts }) => [
      name,
      loss.toFixed(3),
      formatPercent(accuracy),
      (1000 * secondsPerStep).toFixed(1),
      (secondsPerStep / first.secondsPerStep).toFixed(2),
      dropped === undefined ? '-' : formatPercent(dropped),
      deadExperts === undefined ? '-' : String(deadExperts),
    ]),
  ])
}
