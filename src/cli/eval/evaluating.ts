import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError, FileError, SwitchyardError } from '../../base/errors.js'
import { withPath } from '../../base/system-errors.js'
import { listCheckpoints } from '../../checkpoint/run-folder.js'
import { isLocked } from '../../checkpoint/run-lock.js'
import type { UserValues } from '../../config/user-values.js'
import type { SplitName } from '../../data/example.js'
import { leafTasks } from '../../data/mixture.js'
import type { Task } from '../../data/task.js'
import type { Metric } from '../../metrics/metric.js'
import { textMetric } from '../../metrics/text-metrics.js'
import { betterOf } from '../../train/best.js'
import type { BestValidation } from '../../train/best.js'
import { findCheckpoint } from '../../train/checkpointing.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { evaluateExamples } from '../../train/evaluate.js'
import type { Evaluation } from '../../train/evaluate.js'
import { evaluationRecords, evaluationSummary } from '../../train/evaluation-records.js'
import { openForEvaluation } from './evaluated-model.js'
import type { EvaluatedModel } from './evaluated-model.js'
import { onInterrupt } from '../shared/interrupt.js'
import { checkJsonFile, writeOutput } from '../shared/output-file.js'
import type { PagingOptions } from '../shared/paging-options.js'
import { watchPredictions } from '../shared/progress.js'
import { formatErrors, formatSamples, formatScores } from '../shared/report.js'
import { findUserValues } from '../shared/user-config.js'

export interface EvalOptions extends PagingOptions {
  /** Default: test. `all` is for the rows of a file. */
  split?: SplitName | 'all'
  examples?: number
  metric?: string[]
  numBeams?: number
  /** The most tokens of an input. */
  maxInputTokens?: number
  checkpoint?: CheckpointChoice
  /** Of a model of the hub. */
  revision?: string
  errors?: true
  json?: string
  all?: true
  watch?: true
}

interface Given extends Omit<EvalOptions, 'split'> {
  readonly split: SplitName
  readonly metrics: readonly Metric[] | undefined
  readonly values: UserValues
}

/** How often a watched run is looked at for a new checkpoint. */
const WATCH_MILLISECONDS = 1000

/** Evaluates one checkpoint, or those of a run one after the other, and prints the figures. */
export async function evaluateRun(path: string, options: EvalOptions): Promise<void> {
  const { all = false, watch = false, errors = false, checkpoint, split = 'test' } = options
  if (split === 'all')
    throw new ConfigError(
      "--split all scores all rows of a file (--data): of a run's own task, choose train, validation or test",
    )
  if ((all || watch) && checkpoint !== undefined)
    throw new ConfigError('--checkpoint chooses one checkpoint: leave --all and --watch out')
  if ((all || watch) && errors)
    throw new ConfigError('--errors prints the wrong answers of one checkpoint: leave --all and --watch out')
  const metrics = chosenMetrics(options)
  await emptyFile(options.json)
  const given = { ...options, split, metrics, values: await findUserValues() }
  if (all || watch) return evaluateCheckpoints(path, given)

  const { parts } = await evaluateModel(path, given)
  const texts = parts.map(part => {
    if (part.evaluation === undefined) return partLine(part)
    const answers = errors ? formatErrors(part.evaluation) : formatSamples(part.evaluation, 12)
    return `${answers}\n\n${partLine(part)}`
  })
  console.log(texts.join('\n\n'))
}

/** The figures of a task; of a mixture there is a part for each of its tasks. */
interface Part {
  readonly task: Task
  /** Whether the task is one of a mixture's. */
  readonly isMember: boolean
  /** Undefined for a task whose examples have no answers. */
  readonly evaluation?: Evaluation
  /** The figures of such a task, as text. */
  readonly loss?: string
}

const partLine = ({ task, isMember, evaluation, loss }: Part): string =>
  `${isMember ? `${task.name}: ` : ''}${evaluation ? formatScores(evaluation, task) : loss}`

/** The metrics that --metric names; undefined without it. */
export const chosenMetrics = ({ metric }: Pick<EvalOptions, 'metric'>): Metric[] | undefined =>
  metric?.flatMap(names => names.split(',')).map(name => textMetric(name.trim()))

/** Creates the file of --json, or empties it: a wrong path is reported before the evaluation. */
export async function emptyFile(json: string | undefined): Promise<void> {
  if (json === undefined) return
  checkJsonFile('--json', json)
  await writeOutput(json, '')
}

/** Evaluates a checkpoint, or a run's best one, on each of its tasks. */
async function evaluateModel(path: string, given: Given, known?: Task): Promise<{ task: Task; parts: Part[] }> {
  const model = await openForEvaluation(path, given, known)
  return evaluateTasks(model, given).finally(() => model.model.close?.())
}

async function evaluateTasks(model: EvaluatedModel, given: Given): Promise<{ task: Task; parts: Part[] }> {
  const { split } = given
  const { task } = model
  const parts: Part[] = []
  for (const leaf of leafTasks(task)) {
    const isMember = task.members !== undefined
    if (leaf.split(split).length > 0) {
      parts.push({ task: leaf, isMember, evaluation: await evaluateTask(model, leaf, given) })
      continue
    }
    const loss = await model.lossOf(leaf, split)
    if (loss !== undefined) parts.push({ task: leaf, isMember, loss })
  }
  if (parts.length === 0) {
    throw new SwitchyardError(
      `there are so few examples that none fell into the ${split} split. ` +
        '--split train evaluates the model on the examples it was trained on',
    )
  }
  return { task, parts }
}

/** Evaluates a model on a task with answers and, with --json, appends the result to the file. */
async function evaluateTask(
  { folder, step, model }: EvaluatedModel,
  task: Task,
  { split, examples, numBeams, maxInputTokens, json, metrics }: Given,
): Promise<Evaluation> {
  if ((metrics ?? task.metrics).length === 0)
    throw new ConfigError(`the task ${task.name} has no metrics: name one of texts, as in --metric accuracy`)
  // Metrics of texts compare texts, not what the task's postprocessor makes of them.
  const scored = metrics === undefined ? task : { ...task, postprocess: undefined }
  const evaluated = await watchPredictions(task.units.many, onProgress =>
    evaluateExamples({ ...model, codec: task.codec, limits: { maxInputTokens } }, scored, task.split(split), {
      limit: examples ?? null,
      metrics,
      generation: { numBeams },
      onProgress,
    }),
  )
  const evaluation = { split, ...evaluated }
  if (json !== undefined) {
    const summary = evaluationSummary(evaluation, { model: folder, step, task: task.name, split })
    await appendLines(json, [summary, ...evaluationRecords(evaluation)])
  }
  return evaluation
}

/** Appends records to a file of JSON Lines. */
export async function appendLines(path: string, records: readonly object[]): Promise<void> {
  await withPath(path, async () => {
    const file = await open(path, 'a')
    try {
      for (const record of records) await file.appendFile(`${JSON.stringify(record)}\n`)
    } finally {
      await file.close()
    }
  })
}

/**
 * Evaluates a run's checkpoints in the order of their steps, prints a line for each, and at the end which is best. With
 * --watch it waits for new checkpoints, until no training writes to the folder or Ctrl-C is pressed.
 */
async function evaluateCheckpoints(path: string, given: Given): Promise<void> {
  const { watch = false } = given
  // A run that is being trained may have no checkpoint yet.
  const run = watch && (await isLocked(path)) ? path : dirname(await findCheckpoint(path))
  const interruption = onInterrupt(() => console.error('stopping after this evaluation; Ctrl-C again quits at once'))
  const done = new Set<number>()
  let best: BestValidation | undefined
  let bestText: string | undefined
  let task: Task | undefined
  try {
    while (!interruption.signal.aborted) {
      const isTraining = watch && (await isLocked(run))
      const next = (await listCheckpoints(run)).find(({ step }) => !done.has(step))
      if (next === undefined) {
        if (!isTraining) break
        await sleep(WATCH_MILLISECONDS, undefined, { signal: interruption.signal }).catch(() => undefined)
        continue
      }
      done.add(next.step)
      const evaluated = await evaluateModel(next.path, given, task).catch((error: unknown) => {
        // A training run deletes old checkpoints, perhaps while they are read.
        if (watch && error instanceof FileError) return undefined
        throw error
      })
      if (evaluated === undefined) continue
      task = evaluated.task
      for (const part of evaluated.parts) console.log(`step ${next.step}  ${partLine(part)}`)
      // Checkpoints are compared by the first figure of the first metric, as in training.
      const first = evaluated.parts.find(({ evaluation }) => evaluation !== undefined)?.evaluation
      if (first === undefined) continue
      const [{ metric, figures }] = first.scores
      const [[figure, value]] = Object.entries(figures)
      best = betterOf(best, { step: next.step, chosenBy: figure, value, better: metric.better })
      bestText = best && `best: step ${best.step} with ${best.figure} ${metric.format(best.value, best.figure)}`
    }
  } finally {
    interruption.stop()
  }
  if (bestText !== undefined && done.size > 1) console.log(bestText)
}
