import { join } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import { runsFolder } from '../../checkpoint/run-folder.js'
import { distillConfig } from '../../config/distill.js'
import type { UserValues } from '../../config/user-values.js'
import { savedName } from '../../data/task.js'
import type { Task } from '../../data/task.js'
import { readFrozen, teacherOf } from '../../open/frozen-model.js'
import { trainingCodec } from '../../open/model-codec.js'
import { openWeights } from '../../open/open-weights.js'
import type { OpenedWeights } from '../../open/open-weights.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import type { RunConfig } from '../../train/config.js'
import type { WeightsTeacher } from '../../train/distillation/config.js'
import { Trainer } from '../../train/trainer.js'
import { openBaseline, reportOn } from '../shared/distillation-report.js'
import { findFolder } from '../shared/find-folder.js'
import { openDevices } from '../shared/mesh.js'
import { readAsOf, shortName, taskOf } from '../shared/model-training.js'
import type { ModelTrainingOptions } from '../shared/model-training.js'
import { checkOut, enterFolder, printSettings, runToEnd } from '../shared/running.js'
import type { Run } from '../shared/running.js'
import { describeStart } from '../shared/start-report.js'
import { warnOfUnknownTexts } from '../shared/unknown-texts.js'
import { findModelValues } from '../shared/model-values.js'
import { loadUserValues } from '../shared/user-config.js'

export interface DistillOptions extends ModelTrainingOptions {
  baseline?: string
  checkpoint?: CheckpointChoice
}

/** Trains a dense student of a teacher; then evaluates both and the baseline, and prints what the student keeps. */
export async function distill(name: string, options: DistillOptions): Promise<void> {
  const run = await begin(name, options)
  if (run !== undefined) await runToEnd(run)
}

/** Begins a distillation. Returns undefined with --print-config. */
async function begin(name: string, options: DistillOptions): Promise<Run | undefined> {
  const { data, task: taskName, out, revision, printConfig, set, baseline, checkpoint } = options
  if (data !== undefined && taskName !== undefined)
    throw new ConfigError('give --data with a file of your own, or --task with a task, not both')
  await checkOut(out)
  const known = await loadUserValues()
  const onNotice = (message: string): void => console.error(message)
  const weights = await openWeights(await findFolder(name, revision), { choice: checkpoint, onNotice })
  try {
    const { task, others, isOwnTask } = await studentsTask(known, name, weights, options)
    const { container, model, router, run } = weights
    const ran = run && { config: run.config, step: run.checkpoint.step }
    const configFor = (named: WeightsTeacher): RunConfig =>
      distillConfig({ path: name, container, model, router, run: ran, teacher: named, isOwnTask }, task, others)
    // The teacher's arrays, which its fingerprint is known by, are put on the devices that the run's settings name.
    if (!printConfig) await openDevices(configFor({ kind: 'weights', path: name, fingerprint: 'not read yet' }))
    const frozen = await readFrozen(weights, { findValues: findModelValues })
    const teacher = teacherOf(frozen)
    const config = configFor(teacher.config)
    if (printConfig) return printSettings(config)
    if (baseline !== undefined) await (await openBaseline(baseline, task)).close()
    const values = { ...known.valuesOf(config), task, teacher }
    const trainer = await Trainer.begin(config, { ...known.hooks, ...values }, { weights })
    const base = isOwnTask ? `run ${name}` : 'distill'
    const origin = { base, data: data ?? taskName, weights: name, set, baseline }
    const entered = await enterFolder(trainer, out ?? join(runsFolder, `${shortName(name)}-dense`), origin, values)
    describeStart(trainer)
    if (options.data === undefined && !isOwnTask) warnOfUnknownTexts(task, 'model')
    return { ...entered, report: reportOn(frozen) }
  } finally {
    await weights.close()
  }
}

/** The task that the student learns: that of the options, or that which the teacher was trained on. */
async function studentsTask(
  known: UserValues,
  name: string,
  weights: OpenedWeights,
  options: DistillOptions,
): Promise<{ task: Task; others: readonly string[]; isOwnTask: boolean }> {
  const codec = await trainingCodec(weights, message => console.error(message))
  const saved = savedName(weights.texts?.task)
  if (options.data !== undefined || options.task !== undefined)
    return {
      ...(await taskOf(known, options, {
        codec,
        taskName: saved,
        readAs: readAsOf(weights.run?.config.task ?? weights.texts?.trainedOn, name),
      })),
      isOwnTask: false,
    }
  const others = options.set
  if (weights.run !== undefined)
    return { task: await known.loadTask(weights.run.config.task, codec), others, isOwnTask: true }
  // Weights that were written alone have no settings of a run, only the name of its task.
  if (saved === undefined || !known.taskNames.includes(saved))
    throw new ConfigError(
      `${name}: these weights name no task that is known here: give --data with a file of your own, or --task with a task`,
    )
  return { task: await known.taskNamed(saved, codec), others, isOwnTask: false }
}
