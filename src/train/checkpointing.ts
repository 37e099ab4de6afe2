import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { DType } from '../base/dtypes.js'
import { ConfigError, FileError } from '../base/errors.js'
import { leavesWithPaths, treeFromPaths } from '../base/pytree.js'
import type { Tree } from '../base/pytree.js'
import { exists } from '../checkpoint/atomic.js'
import { isFile } from '../checkpoint/files.js'
import { didYouMeanPath } from '../data/sources/similar-path.js'
import { isLocked } from '../checkpoint/run-lock.js'
import { readSlice } from '../checkpoint/format.js'
import type { CheckpointReader } from '../checkpoint/format.js'
import { loadCheckpoint, native, saveCheckpoint } from '../checkpoint/native.js'
import type { Checkpoint, CheckpointContent } from '../checkpoint/native.js'
import { latestCheckpoint, runsFolder } from '../checkpoint/run-folder.js'
import type { Keep } from '../checkpoint/run-folder.js'
import { fromPartsOnMesh } from '../engine/api/mesh.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { defaultEngine } from '../engine/api/engine.js'
import type { TensorTree } from '../engine/api/tracing.js'
import type { NamedSharding } from '../engine/program/sharding.js'
import type { ModelParams } from '../model/types.js'
import { openChosen, openNeeded, openVerified } from './choose-checkpoint.js'
import type { ChooseOptions } from './choose-checkpoint.js'
import { readRunStart } from './run-start.js'
import { requireFinite, viewsOf } from './snapshot.js'
import type { HostTensors } from './snapshot.js'
import type { TrainArrays } from './step.js'
import type { LoraConfig } from './trainable/config.js'
import { mergedReader } from './trainable/merged-reader.js'

/** The part of a checkpoint that is not arrays. */
export type RunFacts = Pick<CheckpointContent, 'step' | 'config' | 'task' | 'data' | 'seed' | 'libraryVersion' | 'best'>

/** The software and hardware that the bits of a resumed run's results depend on. */
const environment = async (): Promise<{ backendVersion: string; threads: number }> => ({
  backendVersion: await defaultEngine().backend.describe(),
  threads: availableParallelism(),
})

/**
 * Saves the arrays of a run as `folder/step-<n>`, and deletes older checkpoints that are not to be kept. If a value is
 * NaN or infinite, nothing is saved or deleted and a SwitchyardError names the tensor. Reads the arrays' own memory: do
 * not start the next step, which overwrites it, before the promise settles.
 */
export async function saveRun(folder: string, facts: RunFacts, arrays: TrainArrays, keep: Keep): Promise<string> {
  const [params, optimizer] = await Promise.all([viewsOf(arrays.params), viewsOf(arrays.optimizer)])
  return saveTensors(folder, facts, { params, optimizer }, keep)
}

/** As `saveRun`, of arrays on the host. */
export async function saveTensors(
  folder: string,
  facts: RunFacts,
  tensors: { readonly params: HostTensors; readonly optimizer: HostTensors },
  keep: Keep,
): Promise<string> {
  requireFinite(tensors.params, facts.step)
  requireFinite(tensors.optimizer, facts.step)
  return saveCheckpoint(folder, { ...facts, ...(await environment()), ...tensors }, keep)
}

/** What a path was expected to be, for the errors where it holds no checkpoint. */
export interface ExpectedPath {
  /** Completes `there is no ... in this folder`. */
  readonly what: string
  /** What the path may be. */
  readonly hint: string
}

const RUN: ExpectedPath = {
  what: 'checkpoint of Switchyard',
  hint: "a run's folder was expected, such as runs/g2p",
}

/**
 * Opens a checkpoint: the one at the path itself, or of the run at the path the one that `openChosen` chooses. Close it
 * after use.
 */
export const openCheckpoint = (path: string, options: ChooseOptions = {}): Promise<Checkpoint> =>
  openExpected(path, options, RUN)

/** As `openCheckpoint`, with errors that say what else than a run the path may be. */
export async function openExpected(path: string, options: ChooseOptions, expected: ExpectedPath): Promise<Checkpoint> {
  await refuseFile(path, expected)
  if (await native.detect(path)) {
    if (typeof options.choice === 'number')
      throw new ConfigError(`${path}: this is one checkpoint, so none can be chosen by its step: give the run's folder`)
    // Training reads parts of experts, which have no checksums of their own.
    return options.job ? openVerified(path, options) : openNeeded(path, options)
  }
  return (await openChosen(path, options)) ?? openNeeded(await findCheckpoint(path, expected), options)
}

/** The folder of a checkpoint: the path itself, or the latest checkpoint of the run at the path. */
export async function findCheckpoint(path: string, expected = RUN): Promise<string> {
  await refuseFile(path, expected)
  if (await native.detect(path)) return path
  const latest = await latestCheckpoint(path)
  if (latest !== undefined) return latest
  if (!(await exists(path)))
    throw new FileError(`${path}: there is no such folder; ${await didYouMeanPath(path, expected.hint, [runsFolder])}`)
  if ((await readRunStart(path)) !== undefined) {
    throw new FileError(
      (await isLocked(path))
        ? `${path}: this run is being trained and has no checkpoint yet: wait for its first`
        : `${path}: this run was stopped before its first checkpoint; train --resume ${path} begins it again`,
    )
  }
  const runs = (await runsIn(path)).map(run => run.folder)
  throw new FileError(
    runs.length > 0
      ? `${path}: this is a folder of runs; give one of them: ${runs.join(', ')}`
      : `${path}: there is no ${expected.what} in this folder; ${expected.hint}`,
  )
}

async function refuseFile(path: string, { hint }: ExpectedPath): Promise<void> {
  if (await isFile(path)) throw new FileError(`${path}: this is a file; ${hint}`)
}

/** Whether a checkpoint is of a run, which can be evaluated and resumed, or a model's weights alone. */
export const isRun = ({ config }: Pick<Checkpoint, 'config'>): boolean =>
  config !== null && typeof config === 'object' && 'train' in config

/** The runs in a folder that have a checkpoint, each with its latest. */
async function runsIn(folder: string): Promise<{ folder: string; checkpoint: string }[]> {
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

/**
 * A warning if the checkpoint was written with another version of the backend or another number of threads, because the
 * resumed run is not exact then. Undefined if both are the same.
 */
export async function environmentWarning({
  backendVersion,
  threads,
}: Pick<Checkpoint, 'backendVersion' | 'threads'>): Promise<string | undefined> {
  const now = await environment()
  if (now.backendVersion === backendVersion && now.threads === threads) return undefined
  return (
    `the checkpoint was written by ${backendVersion} on ${threads} processors, and the run continues with ${now.backendVersion} on ${now.threads}: ` +
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

/**
 * Reads the tensors of a checkpoint as a tree. They must be exactly the expected ones, by path, shape and dtype; else a
 * FileError. Of those that have a layout, each process reads the parts that it has on the mesh.
 */
export async function readTree(
  from: CheckpointReader,
  expected: readonly Expected[],
  layouts: ReadonlyMap<string, NamedSharding> | null = null,
): Promise<TensorTree> {
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
    const layout = layouts?.get(path)
    const tensor = layout
      ? await fromPartsOnMesh(info, layout, (start, part) => readSlice(from, info, start, part))
      : fromHost(await from.read(path))
    entries.push([path, tensor])
  }
  if (stored.size > 0)
    throw new FileError(`${from.path}: the tensor ${[...stored.keys()][0]} belongs to no part of the configured model`)
  return treeFromPaths(entries)
}

/** The paths, shapes and dtypes of a tree of arrays, or of a tree of their types. */
export const expectedOf = (tree: Tree<Typed>): Expected[] =>
  leavesWithPaths<Typed>(tree).map(([path, { shape, dtype }]) => ({ path, shape, dtype }))

/**
 * Reads the model of a checkpoint, with its adapters merged into their kernels. Throws a FileError unless its
 * parameters are the given ones.
 */
export async function readModel(
  checkpointFolder: string,
  specs: readonly Expected[],
  lora: LoraConfig,
): Promise<ModelParams> {
  const checkpoint = await loadCheckpoint(checkpointFolder)
  try {
    return (await readTree(mergedReader(checkpoint.params, lora), specs)) as ModelParams
  } finally {
    await checkpoint.close()
  }
}
