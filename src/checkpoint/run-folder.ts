/** The checkpoints in a run's folder: which are valid, which is the latest, which are kept. */
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { SwitchyardError } from '../base/errors.js'
import { exists, removeAtomically } from './atomic.js'
import { infoName } from './checkpoint-info.js'
import { isFile, namesIn, withPath } from './files.js'

/** The folder of the working folder that the command line makes runs in. */
export const runsFolder = 'runs'

/** Which checkpoints stay when a new one is saved. The new one, the best one and later ones always do. */
export interface Keep {
  /** The newest checkpoints, this many. */
  readonly keep: number
  /** Checkpoints whose step is a multiple of this. Default or null: none. */
  readonly keepEvery?: number | null
}

/** Throws a SwitchyardError unless `keep` is 1 or more. */
export function checkKeep({ keep }: Keep): void {
  if (!(keep >= 1)) throw new SwitchyardError(`keep is ${keep}: the checkpoint that is being saved must be kept`)
}

/** Deletes the checkpoints before `step` that need not be kept, and those that were replaced or abandoned. */
export async function removeSurplus(
  runFolder: string,
  step: number,
  best: number | undefined,
  { keep, keepEvery = null }: Keep,
): Promise<void> {
  const { checkpoints, superseded } = await scanRun(runFolder)
  const older = checkpoints.filter(c => c.step < step)
  const isKept = (s: number): boolean => s === best || (keepEvery !== null && s % keepEvery === 0)
  const surplus = older.slice(0, Math.max(0, older.length + 1 - keep)).filter(c => !isKept(c.step))
  for (const path of [...superseded, ...surplus.map(c => c.path)]) await removeAtomically(path)
}

/**
 * The folder of the checkpoint with the highest step; undefined if there is none. Unfinished folders left by a crash
 * are ignored.
 */
export async function latestCheckpoint(runFolder: string): Promise<string | undefined> {
  return (await listCheckpoints(runFolder)).at(-1)?.path
}

/** The checkpoints of a run in the order of their steps. A folder without checkpoint.json or parameters is ignored. */
export async function listCheckpoints(runFolder: string): Promise<{ step: number; path: string }[]> {
  return (await scanRun(runFolder)).checkpoints
}

/**
 * Abandons the checkpoints after step `from`, for a run that resumed from that step and is about to save step `next`.
 * Renames them to `step-<n>.abandoned-by-<next>`. While `step-<next>` does not exist, they are still valid checkpoints;
 * once it exists, they are ignored, and the next `saveCheckpoint` deletes them. Thus even after a crash, the valid
 * checkpoints are all of one history: either the old one or the new one.
 */
export async function abandonAfter(runFolder: string, from: number, next: number): Promise<void> {
  const later = (await listCheckpoints(runFolder)).filter(({ step }) => step > from)
  // First the checkpoint at step `next`, because the existence of `step-<next>` marks all renamed ones as abandoned.
  for (const { step, path } of later.sort((a, b) => Number(b.step === next) - Number(a.step === next))) {
    const aside = join(runFolder, `step-${step}.abandoned-by-${next}`)
    if (path === aside) continue
    if (await exists(aside)) await removeAtomically(aside)
    await withPath(path, () => rename(path, aside))
  }
}

const checkpointName = /^step-(0|[1-9]\d{0,15})(?:\.(replaced)|\.abandoned-by-(\d{1,16}))?$/

/**
 * The valid checkpoints of a run, and the obsolete folders: replaced or abandoned checkpoints whose replacement or
 * successor exists.
 */
async function scanRun(
  runFolder: string,
): Promise<{ checkpoints: { step: number; path: string }[]; superseded: string[] }> {
  const found = new Map<number, string>()
  const superseded: string[] = []
  // Sorted, so that `step-5` comes before `step-5.replaced` and `step-5.abandoned-by-7`, which count only without it.
  const names = (await namesIn(runFolder)).filter(name => checkpointName.test(name)).sort()
  const isComplete = async (name: string): Promise<boolean> =>
    (await isFile(join(runFolder, name, infoName))) && (await isFile(join(runFolder, name, 'params.safetensors')))
  const complete = new Set<string>()
  for (const name of names) if (await isComplete(name)) complete.add(name)
  for (const name of names) {
    const [, digits, replaced, successor] = checkpointName.exec(name)!
    const path = join(runFolder, name)
    const step = Number(digits)
    const isAside = replaced !== undefined || successor !== undefined
    if ((isAside && found.has(step)) || complete.has(`step-${successor}`)) superseded.push(path)
    else if (complete.has(name)) found.set(step, path)
  }
  const checkpoints = Array.from(found, ([step, path]) => ({ step, path })).sort((a, b) => a.step - b.step)
  return { checkpoints, superseded }
}
