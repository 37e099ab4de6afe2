import { join, resolve } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import { runsFolder } from '../../checkpoint/run-folder.js'
import { exists } from '../../checkpoint/atomic.js'
import { finetuneConfig } from '../../config/finetune.js'
import { openBaseModel } from '../../open/base-model.js'
import { Trainer } from '../../train/trainer.js'
import { pairsFromOptions } from '../shared/pairs-from-options.js'
import type { DataOptions } from '../shared/data-options.js'
import { openDevices } from '../shared/mesh.js'
import { readAsOf, shortName, taskOf } from '../shared/model-training.js'
import type { ModelTrainingOptions } from '../shared/model-training.js'
import { checkFinetuneOverrides } from '../shared/early-checks.js'
import { findFolder } from '../shared/find-folder.js'
import { checkOut, enterFolder, printSettings, runToEnd } from '../shared/running.js'
import type { Run } from '../shared/running.js'
import { describeStart } from '../shared/start-report.js'
import { warnOfUnknownTexts } from '../shared/unknown-texts.js'
import { loadUserValues } from '../shared/user-config.js'

/** Trains a model that exists on other data; then evaluates, and prints commands to continue with. */
export async function finetune(name: string, options: ModelTrainingOptions): Promise<void> {
  const run = await begin(name, options)
  if (run !== undefined) await runToEnd(run)
}

/** Begins a run with a model's weights. Returns undefined with --print-config. */
async function begin(name: string, options: ModelTrainingOptions): Promise<Run | undefined> {
  const { out, revision, printConfig } = options
  if ((options.data === undefined) === (options.task === undefined))
    throw new ConfigError(
      `give --data with a file of your own, or --task with a task${options.data === undefined ? '' : ', not both'}`,
    )
  await checkOut(out)
  const known = await loadUserValues()
  const isPath = await exists(name)
  const base = await openBaseModel(await findFolder(name, revision), message => console.error(message))
  try {
    const { start, codec, taskName, trainedOn, run } = base
    const { container, model, router } = start.weights
    const source = { path: isPath ? resolve(name) : name, container, model, router, run }
    checkFinetuneOverrides(source, codec, overridesOf(options), known)
    const { task, others } = await taskOf(known, options, {
      codec,
      taskName,
      readAs: readAsOf(trainedOn, name),
    })
    const config = finetuneConfig(source, task, others)
    if (printConfig) return printSettings(config)
    const values = { ...known.valuesOf(config), task }
    await openDevices(config)
    const trainer = await Trainer.begin(config, { ...known.hooks, ...values }, start)
    const wanted = out ?? join(runsFolder, `${shortName(name)}-${task.name}`)
    const origin = { base: 'finetune', data: options.data ?? options.task, weights: name, set: options.set }
    const entered = await enterFolder(trainer, wanted, origin, values)
    describeStart(trainer)
    if (options.data === undefined) warnOfUnknownTexts(task, 'model')
    return entered
  } finally {
    await base.close()
  }
}

/** The overrides that are not settings of the task. */
const overridesOf = (options: DataOptions & Pick<ModelTrainingOptions, 'set'>): readonly string[] =>
  options.data === undefined ? options.set : pairsFromOptions(options.data, options, options.set).others
