import { resolve } from 'node:path'
import { ConfigError, SwitchyardError } from '../../base/errors.js'
import { NO_ROWS, readAllPairs } from '../../data/pairs/read.js'
import type { Example, SplitName } from '../../data/example.js'
import { readAsSource } from '../../data/file-as-source.js'
import type { PairsSettings } from '../../data/pairs/settings.js'
import { examplesToAsk } from '../../data/preprocessed-task.js'
import { findFiles } from '../../data/sources/find-files.js'
import { areLabels, pairsMetrics } from '../../data/tasks/pairs.js'
import { openTextModel } from '../../open/text-model.js'
import { evaluateExamples } from '../../train/evaluate.js'
import { evaluationRecords, evaluationSummary } from '../../train/evaluation-records.js'
import { pairsFromOptions } from '../shared/pairs-from-options.js'
import type { DataOptions } from '../shared/data-options.js'
import { appendLines, chosenMetrics, emptyFile } from './evaluating.js'
import type { EvalOptions } from './evaluating.js'
import { findFolder } from '../shared/find-folder.js'
import { watchPredictions } from '../shared/progress.js'
import { formatErrors, formatSamples, formatScores } from '../shared/report.js'
import { reuseSettings } from '../shared/reused-settings.js'
import { trainedOn } from '../shared/trained-on.js'
import type { TrainedOn } from '../shared/trained-on.js'
import { findModelValues } from '../shared/model-values.js'

/** The split to score; undefined for all rows, as of a file without a split column. */
function splitOf(settings: PairsSettings, split: EvalOptions['split'], data: string): SplitName | undefined {
  if (settings.split !== null) return split === 'all' ? undefined : (split ?? 'test')
  if (split === undefined || split === 'all') return undefined
  throw new ConfigError(
    `--split ${split}: ${data} has no split column of the run's, so all its rows are scored: leave --split out`,
  )
}

const units = { one: 'example', many: 'examples' }

interface Read {
  readonly examples: readonly Example[]
  readonly notes: readonly string[]
  /** Whether the task's preprocessors made the examples. */
  readonly isAsTask: boolean
}

const isSeen = ({ digests = [] }: TrainedOn, digest: string | undefined): boolean =>
  digest !== undefined && digests.includes(digest)

function seenNote(name: string, { isRun }: TrainedOn, hasSplits = false): string {
  const seen = `warning: ${name} was trained on most of this data`
  if (hasSplits) return `${seen}: --split test scores the rows that it was not trained on`
  return isRun ? `${seen}: without --data, eval scores the held-out part alone` : `${seen}: score it on other data`
}

/** The examples of a file, read as the model's own data was. Throws a SwitchyardError if there are none. */
async function examplesOf(
  given: PairsSettings,
  { pairs, task, needs, note, name, split, ...trained }: TrainedOn & { name: string; split: EvalOptions['split'] },
): Promise<Read> {
  const { path, input, target, header, delimiter, quotes, skipBadRows, labels } = given
  const file = {
    path,
    input: input ?? undefined,
    target: target ?? undefined,
    header: header ?? undefined,
    delimiter: delimiter ?? undefined,
    quotes: quotes ?? undefined,
    skipBadRows,
  }
  const read = task && (await readAsSource(task, file, ['input', 'target'], needs))
  if (read !== undefined) {
    splitOf(given, split, path)
    if (labels !== null)
      throw new ConfigError(
        `--labels: ${path} is read by the preprocessors of ${task!.name}, which make the targets: leave it out`,
      )
    const notes = [...(isSeen(trained, read.digest) ? [seenNote(name, trained)] : []), ...read.notes]
    return { examples: examplesToAsk(task!, read.examples), notes, isAsTask: true }
  }
  const { settings, notes: reused } =
    pairs === undefined ? { settings: given, notes: [] } : await reuseSettings(given, pairs, name)
  const only = splitOf(settings, split, path)
  const { examples, notes, digest } = await readAllPairs(settings, only)
  const part = `only rows whose "${settings.split}" is ${only} are scored (--split all: all rows)`
  if (examples.length === 0)
    throw new SwitchyardError(
      only === undefined
        ? `${path}: ${NO_ROWS}`
        : `${path}: no row's "${settings.split}" is ${only}; --split all scores all rows`,
    )
  // Runs of older versions have no digest.
  const isOwn = trained.digests === undefined ? resolve(path) === pairs?.path : isSeen(trained, digest)
  const isTrained = only === undefined || only === 'train'
  return {
    examples,
    notes: [
      ...(note === undefined ? [] : [note]),
      ...reused,
      ...(isOwn && isTrained ? [seenNote(name, trained, settings.split !== null)] : []),
      ...notes,
      ...(only === undefined ? [] : [part]),
    ],
    isAsTask: false,
  }
}

/**
 * Evaluates any model that `infer` opens on the examples of a file. A run's file is read as its own data was: by its
 * columns, labels and split column, as far as the file has them and nothing else is given, or by the preprocessors of
 * its task; with a split column, the rows of one split are scored. The figures are those of the run's task; of other
 * models, those that a task of pairs has.
 */
export async function evaluateOnData(
  name: string,
  data: string,
  options: EvalOptions & Omit<DataOptions, 'split'>,
): Promise<void> {
  const {
    revision,
    all,
    watch,
    split,
    examples: limit,
    numBeams,
    maxInputTokens,
    errors,
    json,
    checkpoint,
    expertsMemory,
    pins,
    ...columns
  } = options
  const wrong = Object.entries({ all, watch }).find(([, value]) => value !== undefined)
  if (wrong) throw new ConfigError(`--${wrong[0]} is for a run and its own task: leave it out with --data`)
  if (json !== undefined && (await findFiles(data)).some(file => resolve(file) === resolve(json)))
    throw new ConfigError(`--json ${json}: this is the data, which would be overwritten: choose another name`)
  const folder = await findFolder(name, revision, [], expertsMemory !== undefined)
  const given = pairsFromOptions(data, columns, []).settings
  const known = await trainedOn(folder)
  const { task, pairs } = known
  const { examples, notes, isAsTask } = await examplesOf(given, { ...known, name, split })
  await emptyFile(json)
  for (const note of notes) console.error(note)
  const model = await openTextModel(folder, {
    checkpoint,
    limits: { maxInputTokens },
    expertsMemory,
    pins,
    findValues: findModelValues,
    onNotice: message => console.error(message),
  })
  const own = task !== undefined && task.metrics.length > 0 ? task.metrics : undefined
  const chosen = chosenMetrics(options)
  const { targets } = model.codec
  // A run keeps how it is scored; runs of older versions do not say it.
  const classification = pairs?.classification ?? areLabels(examples, targets)
  const metrics = chosen ?? own ?? pairsMetrics(targets, classification)
  // Metrics of texts compare texts, not what the task's postprocessor makes of them.
  const postprocess = chosen === undefined && isAsTask ? task?.postprocess : undefined
  const evaluation = await watchPredictions(units.many, onProgress =>
    evaluateExamples(model, { metrics, postprocess }, examples, {
      limit: limit ?? null,
      generation: { numBeams },
      onProgress,
    }),
  ).finally(() => model.close?.())
  if (json !== undefined)
    await appendLines(json, [evaluationSummary(evaluation, { model: folder, data }), ...evaluationRecords(evaluation)])
  const answers = errors ? formatErrors(evaluation) : formatSamples(evaluation, 12)
  console.log(`${answers}\n\n${formatScores(evaluation, task && isAsTask ? task : { units, codec: model.codec })}`)
}
