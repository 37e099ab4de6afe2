import { rmdir, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { FileError, SwitchyardError } from '../../base/errors.js'
import { countOf, formatCount } from '../../base/format.js'
import { exists, nextFreeFolder } from '../../checkpoint/atomic.js'
import { listCheckpoints } from '../../checkpoint/run-folder.js'
import type { HeldLock } from '../../checkpoint/run-lock.js'
import { ProcessEndedError } from '../../engine/compile/processes/communicator.js'
import { suggestedInputs } from '../../data/suggested-inputs.js'
import { taskNotes } from '../../data/task-notes.js'
import { countActiveParameters, countParameters, declareParameters } from '../../model/parameters.js'
import type { ModelParams } from '../../model/types.js'
import type { RunConfig } from '../../train/config.js'
import { divergedSteps, removeRunFiles } from '../../train/run-files.js'
import { writeOrigin } from '../../train/run-origin.js'
import type { RunOrigin } from '../../train/run-origin.js'
import type { RunEnd, Trainer } from '../../train/trainer.js'
import { unusedSettings } from '../../train/unused-settings.js'
import type { TrainerValues } from '../../train/values.js'
import { sameBackend } from './backend.js'
import { currentJob } from '../../train/job/job.js'
import { lockRun } from '../../train/job/lock-run.js'
import { Exit } from './exit.js'
import { onInterrupt } from './interrupt.js'
import { customModel, reportHeldOut } from './held-out.js'
import { jobInvocation, tellLauncher } from './job.js'
import { invocation } from './invocation.js'
import { showProgress } from './progress.js'
import { countExamples } from './report.js'
import { shellWord } from './shell-word.js'

/** A training that is ready to run in its folder, which it has locked. */
export interface Run {
  readonly trainer: Trainer
  readonly folder: string
  readonly lock: HeldLock
  /** The values of the run that are not built in. */
  readonly values?: TrainerValues
  /** What is printed after the figures on held-out examples. */
  readonly report?: FinalReport
}

/** A report on the parameters that a run ends with, for the run's end. */
export type FinalReport = (
  run: Pick<Run, 'folder' | 'values'> & Pick<Trainer, 'config' | 'task'>,
  params: ModelParams,
) => Promise<string>

/**
 * Gives a new run a folder: `wanted`, or the next free name. Prints it, and the sizes of the data and the model. Writes
 * there what the run was made from.
 */
export async function enterFolder(
  trainer: Trainer,
  wanted: string,
  origin: RunOrigin,
  values?: TrainerValues,
): Promise<Run> {
  const job = currentJob()
  const folder = await job.fromFirst(() => nextFreeFolder(wanted))
  const lock = await lockRun(folder)
  if (job.isFirst) await writeOrigin(folder, origin)
  console.log(
    basename(folder) === basename(wanted) ? `training in ${folder}` : `${wanted} exists already; training in ${folder}`,
  )
  describeRun(trainer)
  return { trainer, folder, lock, values }
}

/** Throws a FileError if `--out` names a file. */
export async function checkOut(out: string | undefined): Promise<void> {
  if (out === undefined) return
  let existing = out
  while (!(await exists(existing)) && dirname(existing) !== existing) existing = dirname(existing)
  if (!(await stat(existing)).isFile()) return
  const what = existing === out ? 'this' : existing
  throw new FileError(`--out ${out}: ${what} is a file, but a run needs a folder: choose another name`)
}

/** Prints a configuration, for --print-config. */
export function printSettings(config: RunConfig): undefined {
  console.log(JSON.stringify(config, null, 2))
}

/** Trains with a progress display; then evaluates, and prints commands to continue with. */
export async function runToEnd(run: Run): Promise<void> {
  const { trainer, folder, lock } = run
  tellLauncher(folder)
  if (trainer.skippedExamples > 0)
    console.log(
      `${countExamples(trainer.skippedExamples, trainer.task)} longer than a row left out; train.inputLength and train.targetLength set its size`,
    )
  for (const sentence of unusedSettings(trainer)) console.error(`warning: ${sentence}`)
  const interruption = onInterrupt(() => console.log('\nfinishing the step and saving; Ctrl-C again quits at once'))
  const progress = showProgress(trainer.config.train.steps, trainer.task.units.many, trainer.task.metrics)
  let ended: RunEnd
  try {
    const onNotice = (message: string): void => console.error(`\n${message}`)
    ended = await trainer.run(folder, { signal: interruption.signal, onProgress: progress.show, onNotice, lock })
  } catch (error) {
    await removeUnused(folder, lock)
    if (!(error instanceof ProcessEndedError)) throw error
    throw new SwitchyardError(
      `${error.message}. To go on from the last checkpoint:\n\n    ${jobInvocation()} resume ${shellWord(folder)}${sameBackend()}`,
      { cause: error },
    )
  } finally {
    await lock.release()
    progress.stop()
    interruption.stop()
  }
  if (ended === 'interrupted') {
    console.log(
      `saved step ${trainer.step} in ${folder}; to resume:\n\n    ${jobInvocation()} train --resume ${folder}${sameBackend()}`,
    )
    throw new Exit(130)
  }
  if (ended === 'stopped')
    console.log(
      `\nstopped at step ${trainer.step} of ${trainer.config.train.steps}: ${trainer.config.train.patience} validations were no better than that of step ${trainer.best?.step} (train.patience)`,
    )
  await conclude(run)
}

/**
 * Removes the folder of a run that failed before its first checkpoint, unless it holds files that Switchyard did not
 * write.
 */
async function removeUnused(folder: string, lock: HeldLock): Promise<void> {
  if (!currentJob().isFirst) return
  const checkpoints = await listCheckpoints(folder).catch(() => undefined)
  // The batch of a run that diverged, and the settings to make its steps again, are still wanted.
  if (checkpoints?.length !== 0 || (await divergedSteps(folder)).length > 0) return
  await removeRunFiles(folder).catch(() => undefined)
  await lock.release()
  await rmdir(folder).catch(() => undefined)
}

/** Prints how the data was read, and the sizes of the data and the model. */
function describeRun({ task, config: { model, router, train } }: Trainer): void {
  for (const note of taskNotes(task)) console.log(note)
  const specs = declareParameters(model, router)
  const examples = task.split('train')
  const { inputLength, targetLength } = train
  const count =
    examples.length || task.tokens('train', { lengths: { inputs: inputLength, targets: targetLength } }).length
  const inputs = new Set(examples.map(example => example.input)).size
  // For a data set that repeats its inputs, the number of examples alone would overstate its size.
  const repeated = inputs < examples.length / 2
  console.log(
    `${task.name}: ${countExamples(count, task)} to learn from${repeated ? `, with only ${formatCount(inputs)} different ${inputs === 1 ? 'input' : 'inputs'}` : ''}; ` +
      `${formatCount(countParameters(specs))} parameters, ${formatCount(countActiveParameters(specs))} used per token; ${countOf(train.steps, 'step')}`,
  )
}

/** Evaluates the trained model, and prints commands to use it. */
async function conclude({ trainer, folder, values, report }: Run): Promise<void> {
  const { config, task } = trainer
  // The others wait until the first process has evaluated the model.
  if (!currentJob().isFirst) return
  const params = await trainer.bestParams(folder)
  if (trainer.best !== undefined && trainer.best.step !== trainer.step)
    console.log(`\nevaluating step ${trainer.best.step}, the best of the validations`)
  const evaluated = await reportHeldOut(params, config, task, customModel(values))
  if (!evaluated) console.log('\nno example fell into the held-out split, so there is nothing to evaluate on')
  if (report !== undefined) console.log(`\n${await report({ folder, values, config, task }, params)}`)
  const name = shellWord(folder)
  const longer = `${jobInvocation()} train --resume ${name} --set train.steps=${4 * config.train.steps}${sameBackend()}`
  const suggested = config.from === null ? task.suggestions?.train?.replaceAll(/\bRUN\b/g, name) : undefined
  const commands = [
    `${invocation()} infer ${name} ${suggestedInputs(task)
      .map(input => shellWord(input))
      .join(' ')}`,
    ...(evaluated ? [`${invocation()} eval ${name}`] : []),
    suggested === undefined ? longer : `${invocation()} ${suggested}`,
  ]
  console.log(`\nsaved in ${folder}. What to do next:\n\n${commands.map(command => `    ${command}`).join('\n')}`)
}
