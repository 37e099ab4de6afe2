import { resolve } from 'node:path'
import { ConfigError, SwitchyardError } from '../base/errors.js'
import { NO_ROWS, readAllPairs } from '../data/pairs/read.js'
import { findFiles } from '../data/sources/find-files.js'
import { textMetric } from '../metrics/text-metrics.js'
import { openTextModel } from '../open/text-model.js'
import { evaluateExamples } from '../train/evaluate.js'
import { evaluationRecords, evaluationSummary } from '../train/evaluation-records.js'
import { pairsFromOptions } from './data-options.js'
import type { DataOptions } from './data-options.js'
import { appendLines, chosenMetrics, emptyFile } from './evaluating.js'
import type { EvalOptions } from './evaluating.js'
import { findFolder } from './find-folder.js'
import { watchPredictions } from './progress.js'
import { formatErrors, formatSamples, formatScores } from './report.js'
import { findModelValues } from './user-config.js'

const units = { one: 'example', many: 'examples' }

/** Evaluates any model that `infer` opens on all pairs of texts of a file, by metrics of texts. */
export async function evaluateOnData(
  name: string,
  data: string,
  options: EvalOptions & Omit<DataOptions, 'split'>,
): Promise<void> {
  const { all, watch, split, examples: limit, numBeams, errors, json, checkpoint, ...columns } = options
  const wrong = Object.entries({ all, watch, split }).find(([, value]) => value !== undefined)
  if (wrong) throw new ConfigError(`--${wrong[0]} is for a run and its own task: leave it out with --data`)
  const metrics = chosenMetrics(options) ?? [textMetric('accuracy')]
  if (json !== undefined && (await findFiles(data)).some(file => resolve(file) === resolve(json)))
    throw new ConfigError(`--json ${json}: this is the data, which would be overwritten: choose another name`)
  await emptyFile(json)
  const { examples, notes } = await readAllPairs(pairsFromOptions(data, columns, []).settings)
  for (const note of notes) console.error(note)
  if (examples.length === 0) throw new SwitchyardError(`${data}: ${NO_ROWS}`)
  const folder = await findFolder(name)
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
