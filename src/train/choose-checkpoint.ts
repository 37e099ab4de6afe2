import { ConfigError, FileError } from '../base/errors.js'
import { bytesOfType } from '../base/host-tensor.js'
import { goBack, readInfo } from '../checkpoint/checkpoint-info.js'
import type { CheckpointInfo } from '../checkpoint/checkpoint-info.js'
import { verifyTensors } from '../checkpoint/checksum.js'
import { loadCheckpoint } from '../checkpoint/native.js'
import type { Checkpoint } from '../checkpoint/native.js'
import type { CheckpointReader, TensorInfo } from '../checkpoint/format.js'
import { listCheckpoints } from '../checkpoint/run-folder.js'
import { Job } from './job/job.js'

/**
 * Which checkpoint of a run: the best one by its validations (the latest, if the run has none), the latest, or that of
 * a step.
 */
export type CheckpointChoice = 'best' | 'latest' | number

export interface ChooseOptions {
  /** Default: the latest. */
  readonly choice?: CheckpointChoice
  /**
   * Whether the optimizer's state is needed, and verified as well as the parameters. Default: false. Where it is not
   * needed, a damaged file of it is left out with a warning.
   */
  readonly withOptimizer?: boolean
  /** The processes that open the checkpoint together: each verifies some of its tensors. Default: this one alone. */
  readonly job?: Job
  /** Receives a line about the choice of the best checkpoint, and warnings about damaged ones. */
  readonly onNotice?: (message: string) => void
}

interface Found {
  readonly step: number
  readonly path: string
}

/**
 * Opens a checkpoint of a run, after every tensor that is needed was compared with its checksum (about a second for a
 * gigabyte). A damaged one gives way to the newest that is not, with a warning, except one that was chosen by its step.
 * Throws a FileError that says what is wrong with each if all are damaged. Undefined if the run has no checkpoint.
 */
export async function openChosen(run: string, options: ChooseOptions = {}): Promise<Checkpoint | undefined> {
  const { choice = 'latest', onNotice = () => undefined } = options
  const newestFirst = (await listCheckpoints(run)).reverse()
  if (newestFirst.length === 0) return undefined
  const damages: string[] = []
  for (const found of await candidates(run, newestFirst, choice, onNotice)) {
    try {
      const checkpoint = await openVerified(found.path, options)
      if (damages.length > 0) onNotice(`warning: ${damages.at(-1)}; step ${found.step} of ${run} is used instead`)
      return checkpoint
    } catch (error) {
      if (!(error instanceof FileError) || typeof choice === 'number') throw error
      damages.push(error.message.replace(`; ${goBack(found.path)}`, ''))
    }
  }
  throw new FileError(`${run}: every checkpoint of this run is damaged:\n${damages.map(d => `  ${d}`).join('\n')}`)
}

/** The checkpoints to try, in this order. */
async function candidates(
  run: string,
  newestFirst: readonly Found[],
  choice: CheckpointChoice,
  onNotice: (message: string) => void,
): Promise<readonly Found[]> {
  if (choice === 'latest') return newestFirst
  if (typeof choice === 'number') {
    const chosen = newestFirst.filter(({ step }) => step === choice)
    if (chosen.length > 0) return chosen
    const steps = newestFirst.map(({ step }) => step).reverse()
    throw new ConfigError(`${run}: there is no checkpoint of step ${choice}; it has ${steps.join(', ')}`)
  }
  const best = await bestOf(newestFirst)
  const chosen = newestFirst.find(({ step }) => step === best?.step)
  if (best === undefined || chosen === undefined) return newestFirst
  const latest = newestFirst[0].step
  onNotice(
    `using step ${best.step} of ${run}, the best of its validations (${best.figure} ${formatFigure(best.value)})` +
      (latest === best.step ? '' : `; --checkpoint latest takes step ${latest}`),
  )
  return [chosen, ...newestFirst.filter(found => found !== chosen)]
}

const formatFigure = (value: number): string => String(Number(value.toPrecision(4)))

/** The best checkpoint, as the newest readable one records it. */
async function bestOf(newestFirst: readonly Found[]): Promise<CheckpointInfo['best']> {
  for (const { path } of newestFirst) {
    const stored = await readInfo(path).catch(() => undefined)
    if (stored !== undefined) return stored.info.best
  }
  return undefined
}

/** Opens a checkpoint whose tensors were compared with their checksums, by all processes of a job together. */
export async function openVerified(folder: string, options: ChooseOptions): Promise<Checkpoint> {
  const { withOptimizer = false, job = new Job(null), onNotice = () => undefined } = options
  const notices: string[] = []
  let opened: Checkpoint | undefined
  let parts: readonly CheckpointReader[] = []
  try {
    await job.share(async (rank, size) => {
      opened = await openNeeded(folder, { withOptimizer, onNotice: message => notices.push(message) })
      const { params, optimizer, state } = opened
      parts = (withOptimizer ? [params, optimizer, state] : [params]).filter(part => part !== undefined)
      const tensors = parts.flatMap(part => part.list().map(({ name, ...type }) => ({ part, name, ...type })))
      for (const { part, name } of shareOf(tensors, rank, size)) await verifyTensors(part, [name])
    })
    for (const part of parts) part.trust?.()
    notices.forEach(onNotice)
    return opened!
  } catch (error) {
    await opened?.close()
    throw error
  }
}

/** Opens a checkpoint. A damaged file of the optimizer's state is an error only if that state is needed. */
export const openNeeded = (
  folder: string,
  { withOptimizer = false, onNotice = () => undefined }: ChooseOptions,
): Promise<Checkpoint> =>
  loadCheckpoint(
    folder,
    withOptimizer ? undefined : damage => onNotice(`warning: ${damage}; it is not needed here, and left out`),
  )

/** The tensors that process `rank` of `size` verifies: each goes to the process that has the fewest bytes so far. */
function shareOf<T extends Pick<TensorInfo, 'dtype' | 'shape'>>(
  tensors: readonly T[],
  rank: number,
  size: number,
): T[] {
  const bytes = Array.from({ length: size }, () => 0)
  return tensors.filter(tensor => {
    const least = bytes.indexOf(Math.min(...bytes))
    bytes[least] += bytesOfType(tensor)
    return least === rank
  })
}
