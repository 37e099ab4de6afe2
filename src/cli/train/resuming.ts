import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import type { Checkpoint } from '../../checkpoint/native.js'
import { latestCheckpoint, runsFolder } from '../../checkpoint/run-folder.js'
import { overrideConfig } from '../../config/overrides.js'
import { parseRunConfig } from '../../config/validate.js'
import { readCodec } from '../../data/task.js'
import { openBaseModel } from '../../open/base-model.js'
import { environmentWarning, findCheckpoint, openCheckpoint } from '../../train/checkpointing.js'
import type { RunConfig } from '../../train/config.js'
import type { Origin } from '../../train/restore/origin.js'
import { addSettings } from '../../train/run-origin.js'
import { divergedSteps } from '../../train/run-files.js'
import { readRunStart } from '../../train/run-start.js'
import { currentJob } from '../../train/job/job.js'
import { lockRun } from '../../train/job/lock-run.js'
import type { RunStart } from '../../train/run-start.js'
import { Trainer } from '../../train/trainer.js'
import { findFolder } from '../shared/find-folder.js'
import { sameBackend } from '../shared/backend.js'
import { invocation } from '../shared/invocation.js'
import { jobInvocation } from '../shared/job.js'
import { openDevices } from '../shared/mesh.js'
import { printSettings } from '../shared/running.js'
import type { Run } from '../shared/running.js'
import { shellWord } from '../shared/shell-word.js'
import { valuesOfRun } from '../shared/run-values.js'

interface ResumeOptions {
  set: readonly string[]
  printConfig?: true
  debugNans?: true
}

/** Resumes a run from its latest checkpoint. Returns undefined with --print-config, or if the run is finished. */
export async function resumeRun(
  resume: string | true,
  { set, printConfig, debugNans }: ResumeOptions,
): Promise<Run | undefined> {
  const given = resume === true ? await latestRun() : resume
  const start = await readRunStart(given)
  if (start !== undefined && (await latestCheckpoint(given)) === undefined)
    return beginAgain(given, start, { set, printConfig, debugNans })
  const folder = dirname(await findCheckpoint(given))
  // Locked before the checkpoint is read: a process that is training here may replace it at any moment.
  const lock = printConfig ? undefined : await lockRun(folder)
  let run: Run | undefined
  try {
    const checkpoint = await openCheckpoint(given, {
      withOptimizer: true,
      job: currentJob(),
      onNotice: message => console.error(message),
    })
    try {
      const config = overrideConfig(parseRunConfig(checkpoint.config, `the configuration in ${checkpoint.folder}`), set)
      if (lock === undefined) return printSettings(config)
      if (checkpoint.step >= config.train.steps) return alreadyFinished(checkpoint, config)
      await openDevices(config)
      const { values, hooks, report } = await valuesOfRun(config, readCodec(checkpoint.task))
      const trainer = await Trainer.resume(config, checkpoint, { ...hooks, ...values })
      if (debugNans) return await printNaN(trainer, folder)
      if (currentJob().isFirst) await addSettings(folder, set)
      console.log(`resuming ${folder} from step ${checkpoint.step} of ${config.train.steps}`)
      const warning = await environmentWarning(checkpoint)
      if (warning !== undefined) console.error(`warning: ${warning}`)
      return (run = { trainer, folder, lock, values, report })
    } finally {
      await checkpoint.close()
    }
  } finally {
    if (run === undefined) await lock?.release()
  }
}

/** Restarts a run that was stopped before its first checkpoint. Returns undefined with --print-config. */
async function beginAgain(
  folder: string,
  start: RunStart,
  { set, printConfig, debugNans }: ResumeOptions,
): Promise<Run | undefined> {
  const config = overrideConfig(parseRunConfig(start.config, `the configuration in ${folder}`), set)
  if (printConfig) return printSettings(config)
  const lock = await lockRun(folder)
  try {
    const { trainer, values, report } =
      config.from === null ? await beginFromNothing(config) : await beginFromWeights(config, config.from)
    if (debugNans) {
      await printNaN(trainer, folder)
      await lock.release()
      return undefined
    }
    console.log(`${folder} was stopped before its first checkpoint: beginning again from step 0`)
    return { trainer, folder, lock, values, report }
  } catch (error) {
    await lock.release()
    throw error
  }
}

/**
 * Makes the steps up to the one whose loss was not finite again, and prints which of its equations gave the first NaN.
 */
async function printNaN(trainer: Trainer, folder: string): Promise<undefined> {
  const step = (await divergedSteps(folder)).find(diverged => diverged > trainer.step)
  if (step === undefined)
    throw new ConfigError(`${folder}: no loss of this run after step ${trainer.step} was NaN or infinite`)
  console.log(`making the steps from ${trainer.step} to ${step} again, the last one equation by equation`)
  console.log(`step ${step}: ${(await trainer.findNaN(step)) ?? 'no equation gives NaN'}`)
  return undefined
}

type Begun = Pick<Run, 'trainer' | 'values' | 'report'>

async function beginFromNothing(config: RunConfig): Promise<Begun> {
  await openDevices(config)
  const { values, hooks, report } = await valuesOfRun(config)
  return { trainer: await Trainer.begin(config, { ...hooks, ...values }), values, report }
}

/** Begins a fine-tuning run again. Until the first checkpoint, the weights are only where they came from. */
async function beginFromWeights(config: RunConfig, { path }: Origin): Promise<Begun> {
  const base = await openBaseModel(await findFolder(path), message => console.error(message))
  try {
    await openDevices(config)
    const { values, hooks, report } = await valuesOfRun(config, base.codec)
    return { trainer: await Trainer.begin(config, { ...hooks, ...values }, base.start), values, report }
  } finally {
    await base.close()
  }
}

/** Prints that the run is finished. Throws a ConfigError if the run has done more steps than `train.steps`. */
function alreadyFinished({ folder, step }: Pick<Checkpoint, 'folder' | 'step'>, { train }: RunConfig): undefined {
  const run = shellWord(join(folder, '..'))
  if (step > train.steps) {
    throw new ConfigError(
      `train.steps is ${train.steps}, but ${folder} is already at step ${step}: --set train.steps=${2 * step} continues`,
    )
  }
  console.log(`${run}: already finished at step ${step}; --set train.steps=${2 * step} continues:\n
    ${jobInvocation()} train --resume ${run} --set train.steps=${2 * step}${sameBackend()}
    ${invocation()} eval ${run}`)
  return undefined
}

/** The run under runs/ with the newest checkpoint, or the newest folder for runs that have no checkpoint yet. */
export async function latestRun(): Promise<string> {
  const names = await readdir(runsFolder).catch(() => [])
  const runs = await Promise.all(
    names.map(async name => {
      const folder = join(runsFolder, name)
      const latest = await latestCheckpoint(folder).catch(() => undefined)
      if (latest === undefined && (await readRunStart(folder).catch(() => undefined)) === undefined) return []
      return { folder, at: (await stat(latest ?? folder)).mtimeMs }
    }),
  )
  const [latest] = runs.flat().sort((a, b) => b.at - a.at)
  if (latest === undefined)
    throw new ConfigError('there is no run with a checkpoint under runs/: give its folder, as in --resume runs/g2p')
  return latest.folder
}
