import { resolve } from 'node:path'
import { ConfigError, SwitchyardError } from '../../base/errors.js'
import { NO_ROWS, readAllPairs } from '../../data/pairs/read.js'
import type { SplitName } from '../../data/example.js'
import type { PairsSettings } from '../../data/pairs/settings.js'
import { findFiles } from '../../data/sources/find-files.js'
import { textMetric } from '../../metrics/text-metrics.js'
import { openTextModel } from '../../open/text-model.js'
import { evaluateExamples } from '../../train/evaluate.js'
import { evaluationRecords, evaluationSummary } from '../../train/evaluation-records.js'
import { pairsFromOptions } from '../shared/data-options.js'
import type { DataOptions } from '../shared/data-options.js'
import { appendLines, chosenMetrics, emptyFile } from './evaluating.js'
import type { EvalOptions } from './evaluating.js'
import { findFolder } from '../shared/find-folder.js'
import { watchPredictions } from '../shared/progress.js'
import { formatErrors, formatSamples, formatScores } from '../shared/report.js'
import { pairsOfRun, reuseSettings } from './reused-settings.js'
import { findModelValues } from '../shared/user-config.js'

/** The split to score; undefined for all rows, as of a file without a split column. */
function splitOf(settings: PairsSettings, split: EvalOptions['split'], data: string): SplitName | undefined {
  if (settings.split !== null) return split === 'all' ? undefined : (split ?? 'test')
  if (split === undefined || split === 'all') return undefined
  throw new ConfigError(
    `--split ${split}: ${data} has no split column of the run's, so all its rows are scored: leave --split out`,
  )
}

const units = { one: 'example', many: 'examples' }

/**
 * Evaluates any model that `infer` opens on the pairs of texts of a file, by metrics of texts. Columns, labels and the
 * split column are those of the run, as far as the file has them and nothing else is given; with a split column, the
 * rows of one split are scored.
 */
export async function evaluateOnData(
  name: string,
  data: string,
  options: EvalOptions & Omit<DataOptions, 'split'>,
): Promise<void> {
  const { all, watch, split, examples: limit, numBeams, errors, json, checkpoint, ...columns } = options
  const wrong = Object.entries({ all, watch }).find(([, value]) => value !== undefined)
  if (wrong) throw new ConfigError(`--${wrong[0]} is for a run and its own task: leave it out with --data`)
  const metrics = chosenMetrics(options) ?? [textMetric('accuracy')]
  if (json !== undefined && (await findFiles(data)).some(file => resolve(file) === resolve(json)))
    throw new ConfigError(`--json ${json}: this is the data, which would be overwritten: choose another name`)
  const folder = await findFolder(name)
  const given = pairsFromOptions(data, columns, []).settings
  const ofRun = await pairsOfRun(folder)
  const { settings, notes: reused } =
    ofRun === undefined ? { settings: given, notes: [] } : await reuseSettings(given, ofRun, name)
  const only = splitOf(settings, split, data)
  await emptyFile(json)
  const { examples, notes } = await readAllPairs(settings, only)
  for (const note of [...reused, ...notes]) console.error(note)
  if (only !== undefined)
    console.error(`only rows whose "${settings.split}" is ${only} are scored (--split all: all rows)`)
  if (examples.length === 0)
    throw new SwitchyardError(
      only === undefined
        ? `${data}: ${NO_ROWS}`
        : `${data}: no row's "${settings.split}" is ${only}; --split all scores all rows`,
    )
  const model = await openTextModel(folder, {
    checkpoint,
    findValues: findModelValues,
    onNotice: message => console.error(message),
  })
  const evaluation = await watchPredictions(units.many, onProgress =>
    evaluateExamples(model, { metrics }, examples, { limit: limit ?? null, generation: { numBeams }, onProgress }),
  )
  if (json !== undefined)
    await appendLines(json, [evaluationSummary(evaluation, { model: folder, data }), ...evaluationRecords(evaluation)])
  const answers = errors ? formatErrors(evaluation) : formatSamples(evaluation, 12)
  console.log(`${answers}\n\n${formatScores(evaluation, { units })}`)
}
