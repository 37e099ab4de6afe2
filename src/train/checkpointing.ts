import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { DType } from '../base/dtypes.js'
import { isFloat } from '../base/dtypes.js'
import { FileError, SwitchyardError } from '../base/errors.js'
import { leavesWithPaths, treeFromPaths } from '../base/pytree.js'
import type { Tree } from '../base/pytree.js'
import { reader } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { exists, removeAtomically } from '../checkpoint/atomic.js'
import type { CheckpointReader } from '../checkpoint/format.js'
import { latestCheckpoint, listCheckpoints, loadCheckpoint, native, saveCheckpoint } from '../checkpoint/native.js'
import type { Checkpoint, CheckpointContent } from '../checkpoint/native.js'
import { fromHost, hostView } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { defaultEngine } from '../engine/api/engine.js'
import type { TensorTree } from '../engine/api/tracing.js'
import type { TrainArrays } from './step.js'

/** What is saved with the arrays. */
export type RunFacts = Pick<CheckpointContent, 'step' | 'config' | 'task' | 'data' | 'seed' | 'libraryVersion'>

/** What resumed results depend on besides the checkpoint. */
const environment = async (): Promise<{ backendVersion: string; threads: number }> => ({
  backendVersion: await defaultEngine().backend.describe(),
  threads: availableParallelism(),
})

/**
 * Saves the arrays of a run as `folder/step-<n>`, and deletes all but the newest `keep`. Nothing that is not finite is
 * saved: then a SwitchyardError names the tensor, and older checkpoints stay as they are. Reads the arrays' own memory: the
 * next step must wait.
 */
export async function saveRun(folder: string, facts: RunFacts, arrays: TrainArrays, keep: number): Promise<string> {
  const [params, optimizer] = await Promise.all([toHost(arrays.params), toHost(arrays.optimizer)])
  for (const [name, tensor] of [...params, ...optimizer]) {
    if (!isFinite(tensor))
      throw new SwitchyardError(`${name} is not finite after step ${facts.step}: no checkpoint was saved`)
  }
  return saveCheckpoint(folder, { ...facts, ...(await environment()), params, optimizer }, { keep })
}

/** The checkpoint at a path: the path's own, or the latest of the run there. Close it after use. */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  if (await native.detect(path)) return loadCheckpoint(path)
  const latest = await latestCheckpoint(path)
  if (latest !== undefined) return loadCheckpoint(latest)
  if (!(await exists(path)))
    throw new FileError(`${path}: there is no such folder; a run's folder was expected, such as runs/g2p`)
  const runs = (await runsIn(path)).map(run => run.folder)
  throw new FileError(
    runs.length > 0
      ? `${path}: this is a folder of runs; give one of them: ${runs.join(', ')}`
      : `${path}: there is no checkpoint of Switchyard in this folder`,
  )
}

/** Whether a checkpoint is of a run, which can be evaluated and resumed, or a model's weights alone. */
export const isRun = ({ config }: Pick<Checkpoint, 'config'>): boolean =>
  config !== null && typeof config === 'object' && 'train' in config

/** The runs in a folder that have a checkpoint, each with its latest. */
export async function runsIn(folder: string): Promise<{ folder: string; checkpoint: string }[]> {
  const names = await readdir(folder).catch(() => [])
  const found = await Promise.all(
    names.sort().map(async name => {
      const run = join(folder, name)
      const checkpoint = await latestCheckpoint(run).catch(() => undefined)
      return checkpoint === undefined ? [] : [{ folder: run, checkpoint }]
    }),
  )
  return found.flat()
}

/** Deletes the checkpoints after a step, but for one: a run that went on from there has left their way. */
export async function removeAbandoned(folder: string, after: number, except: number): Promise<void> {
  for (const { step, path } of await listCheckpoints(folder)) {
    if (step > after && step !== except) await removeAtomically(path)
  }
}

/** What differs from where the checkpoint was written, so that going on from it may not be exact; undefined: nothing. */
export async function environmentWarning({
  backendVersion,
  threads,
}: Pick<Checkpoint, 'backendVersion' | 'threads'>): Promise<string | undefined> {
  const now = await environment()
  if (now.backendVersion === backendVersion && now.threads === threads) return undefined
  return (
    `this run was made with ${backendVersion} on ${threads} processors, and goes on with ${now.backendVersion} on ${now.threads}: ` +
    'its results will be as good, but not the same bit for bit'
  )
}

interface Typed {
  readonly shape: readonly number[]
  readonly dtype: DType
}

export interface Expected extends Typed {
  readonly path: string
}

/** Reads a tree of arrays, which must be exactly those that are expected. */
export async function readTree(from: CheckpointReader, expected: readonly Expected[]): Promise<TensorTree> {
  const stored = new Map(from.list().map(info => [info.name, info]))
  const entries: [string, Tensor][] = []
  for (const { path, shape, dtype } of expected) {
    const info = stored.get(path)
    if (info === undefined)
      throw new FileError(`${from.path}: the tensor ${path} is missing: this is a checkpoint of another model`)
    if (info.dtype !== dtype || info.shape.join() !== shape.join()) {
      throw new FileError(
        `${from.path}: the tensor ${path} is ${info.dtype}[${info.shape}], and the configuration beside it asks for ${dtype}[${shape}]`,
      )
    }
    stored.delete(path)
    entries.push([path, fromHost(await from.read(path))])
  }
  if (stored.size > 0)
    throw new FileError(`${from.path}: the tensor ${[...stored.keys()][0]} belongs to no part of the configured model`)
  return treeFromPaths(entries)
}

/** What is expected of a tree like this one, of arrays or of their types. */
export const expectedOf = (tree: Tree<Typed>): Expected[] =>
  leavesWithPaths<Typed>(tree).map(([path, { shape, dtype }]) => ({ path, shape, dtype }))

async function toHost(tree: TensorTree): Promise<Map<string, HostTensor>> {
  const leaves = leavesWithPaths<Tensor>(tree)
  return new Map(await Promise.all(leaves.map(async ([path, array]) => [path, await hostView(array)] as const)))
}

function isFinite({ dtype, data }: HostTensor): boolean {
  if (!isFloat(dtype)) return true
  const read = reader(dtype, data)
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(read(i))) return false
  return true
}
