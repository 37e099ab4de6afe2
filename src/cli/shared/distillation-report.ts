import { ConfigError } from '../../base/errors.js'
import { formatCount, formatTable } from '../../base/format.js'
import { leafTasks } from '../../data/mixture.js'
import { saveCodec } from '../../data/task.js'
import type { Task } from '../../data/task.js'
import type { Metric } from '../../metrics/metric.js'
import { countParameters, declareParameters } from '../../model/parameters.js'
import type { ModelParams } from '../../model/types.js'
import { readFrozen } from '../../open/frozen-model.js'
import type { FrozenModel } from '../../open/frozen-model.js'
import { trainingCodec } from '../../open/model-codec.js'
import { openWeights } from '../../open/open-weights.js'
import type { OpenedWeights } from '../../open/open-weights.js'
import type { RunConfig } from '../../train/config.js'
import { evaluate } from '../../train/evaluate.js'
import type { CustomModelValues } from '../../train/loss.js'
import { readOrigin } from '../../train/run-origin.js'
import { onOneDevice, Validator } from '../../train/validation.js'
import { findFolder } from './find-folder.js'
import { customModel } from './held-out.js'
import { watchPredictions } from './progress.js'
import type { FinalReport } from './running.js'
import { findModelValues } from './model-values.js'

/** A model of the report, with its figures on the student's task. */
export interface Measured {
  readonly role: 'teacher' | 'student' | 'baseline'
  readonly path: string
  readonly parameters: number
  /** The first figure of the task's first metric, on held-out examples; undefined for a task without answers. */
  readonly figure?: number
  /** The mean cross entropy on the validation split; undefined if it has no example that fits a row. */
  readonly loss?: number
  /** On how many examples each of the two was measured. */
  readonly examples?: { readonly figure?: number; readonly loss?: number }
}

/** What is measured besides the loss. */
interface MeasuredFigure {
  readonly name: string
  readonly metric: Metric
}

/**
 * Opens the baseline of a report. Throws a ConfigError if its vocabulary is not that of the task: its losses and
 * answers could not be compared.
 */
export async function openBaseline(name: string, task: Pick<Task, 'codec'>): Promise<OpenedWeights> {
  const weights = await openWeights(await findFolder(name), { onNotice: message => console.error(message) })
  const codec = await trainingCodec(weights, message => console.error(message))
  const textOf = (value: Task['codec']): string => JSON.stringify(saveCodec({ name: 'task', codec: value }))
  if (textOf(codec) === textOf(task.codec)) return weights
  await weights.close()
  throw new ConfigError(
    `--baseline ${name}: its vocabulary is not that of the teacher, so the two cannot be compared: give a run on the same task`,
  )
}

interface DistillationReport {
  readonly config: RunConfig
  readonly task: Task
  readonly teacher: FrozenModel
  readonly student: { readonly path: string; readonly params: ModelParams }
  readonly values: CustomModelValues
  /** A run of the same model without a teacher, as it was given. */
  readonly baseline?: string
}

/** The final report of a run that learns from a teacher, with the baseline that the run was begun with. */
export const reportOn =
  (teacher: FrozenModel): FinalReport =>
  async ({ folder, values, config, task }, params) =>
    distillationReport({
      config,
      task,
      teacher,
      student: { path: folder, params },
      values: customModel(values),
      baseline: (await readOrigin(folder))?.baseline,
    })

/** Measures teacher, student and baseline on the same examples, and compares them. */
async function distillationReport({
  config,
  task,
  teacher,
  student,
  values,
  baseline,
}: DistillationReport): Promise<string> {
  const leaf = leafTasks(task).find(t => t.metrics.length > 0 && t.split('test').length > 0)
  const figure = leaf && { leaf, metric: leaf.metrics[0] }
  const measure = async (
    role: Measured['role'],
    { path, params, ...changed }: { path: string; params: ModelParams } & Partial<Pick<RunConfig, 'model' | 'router'>>,
    custom: CustomModelValues,
  ): Promise<Measured & { name?: string }> => {
    const own = { ...config, ...changed }
    console.log(`\nmeasuring the ${role} (${path}) on validation and held-out examples`)
    const validator = new Validator(own, task, custom)
    const { loss, examples: validated } = validator.hasExamples
      ? await validator.targetFigures(onOneDevice(params))
      : { loss: undefined, examples: undefined }
    const parameters = countParameters(declareParameters(own.model, own.router))
    if (figure === undefined) return { role, path, parameters, loss, examples: { loss: validated } }
    const { scores, examples } = await watchPredictions(leaf!.units.many, onProgress =>
      evaluate(params, own, figure.leaf, {
        ...custom,
        split: 'test',
        limit: config.train.evalExamples,
        metrics: [figure.metric],
        onProgress,
      }),
    )
    const [[name, value]] = Object.entries(scores[0].figures)
    return {
      role,
      path,
      parameters,
      loss,
      figure: value,
      name,
      examples: { figure: examples.length, loss: validated },
    }
  }
  const frozen = ({ path, params, model, router, values: custom }: FrozenModel) =>
    [{ path, params, model, router }, custom] as const
  const measured = [
    await measure('teacher', ...frozen(teacher)),
    await measure('student', student, values),
    ...(baseline === undefined ? [] : [await measure('baseline', ...frozen(await readBaseline(baseline, task)))]),
  ]
  const { name } = measured[0]
  return formatReport(measured, name === undefined ? undefined : { name, metric: figure!.metric })
}

async function readBaseline(name: string, task: Task): Promise<FrozenModel> {
  const weights = await openBaseline(name, task)
  try {
    return await readFrozen(weights, { findValues: findModelValues })
  } finally {
    await weights.close()
  }
}

/** The figures of teacher, student and baseline as a table, and sentences on the compression and on what is kept. */
export function formatReport(measured: readonly Measured[], figure?: MeasuredFigure): string {
  const [teacher, student, baseline] = measured
  const rows = measured.map(({ role, path, parameters, ...m }) => [
    role,
    formatCount(parameters),
    ...(figure ? [figure.metric.format(m.figure!, figure.name)] : []),
    m.loss?.toFixed(4) ?? '-',
    path,
  ])
  const table = formatTable([
    ['', 'parameters', ...(figure ? [figure.name] : []), 'validation loss', 'weights'],
    ...rows,
  ])
  const share = student.parameters / teacher.parameters
  const compression = `the student has ${(100 * share).toFixed(1)}% of the teacher's parameters (${(1 / share).toFixed(1)} times fewer)`
  const advice =
    '--baseline RUN, a run of the same dense model without a teacher, says which share of the gain the student keeps'
  const text = (value: number): string => figure!.metric.format(value, figure!.name)
  const kept =
    baseline === undefined
      ? advice
      : [
          ...(figure
            ? [
                keptGain(
                  figure.name,
                  measured.map(m => m.figure!),
                  figure.metric.better,
                  text,
                ),
              ]
            : []),
          ...(measured.every(m => m.loss !== undefined)
            ? [
                keptGain(
                  'validation loss',
                  measured.map(m => m.loss!),
                  'lower',
                  value => value.toFixed(4),
                ),
              ]
            : []),
        ].join('\n')
  return [`${table}\n`, ...measuredOn(teacher, figure), compression, kept].join('\n')
}

/** On how many examples the figures were measured, in a line; none if it is not known. */
function measuredOn({ examples }: Measured, figure?: MeasuredFigure): string[] {
  const count = (n: number, kind: string): string => `${formatCount(n)} ${kind} ${n === 1 ? 'example' : 'examples'}`
  const parts = [
    ...(figure && examples?.figure !== undefined ? [`${figure.name} on ${count(examples.figure, 'held-out')}`] : []),
    ...(examples?.loss === undefined ? [] : [`validation loss on ${count(examples.loss, 'validation')}`]),
  ]
  return parts.length > 0 ? [`measured: ${parts.join(', ')}`] : []
}

/**
 * The share of the teacher's gain over the baseline that the student keeps, in one figure, as a sentence. In words if a
 * share says nothing: without a gain that the table shows, and outside 0% to 100%.
 */
function keptGain(
  name: string,
  [teacher, student, baseline]: readonly number[],
  better: 'higher' | 'lower',
  text: (value: number) => string,
): string {
  const isBetter = (a: number, b: number): boolean => (better === 'higher' ? a > b : a < b)
  if (!isBetter(teacher, baseline) || text(teacher) === text(baseline))
    return `${name}: the teacher is no better than the baseline, so there is no gain to keep`
  if (isBetter(student, teacher)) return `${name}: the student is better than the teacher, so it keeps the whole gain`
  if (!isBetter(student, baseline))
    return `${name}: the student is no better than the baseline, so it keeps none of the teacher's gain`
  const share = (student - baseline) / (teacher - baseline)
  return `${name}: the student keeps ${(100 * share).toFixed(1)}% of the teacher's gain over the baseline`
}
