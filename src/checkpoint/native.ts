import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FileError } from '../base/errors.js'
import type { HostTensor } from '../base/host-tensor.js'
import { exists, writeFolderAtomically } from './atomic.js'
import { checkInfo, goBack, infoName, infoText, readInfo } from './checkpoint-info.js'
import type { CheckpointInfo } from './checkpoint-info.js'
import { checkedReader, withChecksums } from './checksum.js'
import type { Checksums } from './checksum.js'
import { apartExperts, withApartExperts } from './experts/apart.js'
import { indexName } from './experts/apart-index.js'
import type { ExpertSource } from './experts/source.js'
import { isFile, namesIn, withPath } from './files.js'
import { sourceOf } from './format.js'
import type { CheckpointFormat, CheckpointReader, TensorSource } from './format.js'
import type { Json } from './json.js'
import { checkKeep, removeSurplus } from './run-folder.js'
import type { Keep } from './run-folder.js'
import { safetensors } from './safetensors.js'
import { splitSource } from './split-tensor.js'
import type { WholeOrSplit } from './split-tensor.js'

export type { CheckpointInfo } from './checkpoint-info.js'

/** The file of the parameters in a checkpoint folder. */
export const paramsName = 'params.safetensors'
const optimizerName = 'optimizer.safetensors'
const stateName = 'state.safetensors'

type Opaque = 'config' | 'task' | 'data'

/**
 * The content of a checkpoint to be saved. `config`, `task` and `data` must be values that JSON represents exactly: NaN
 * or a Date are refused.
 */
export interface CheckpointContent extends Omit<CheckpointInfo, Opaque> {
  config: unknown
  task: unknown
  data: unknown
  params: ReadonlyMap<string, WholeOrSplit>
  optimizer: ReadonlyMap<string, WholeOrSplit>
  /** Other tensors. */
  state?: ReadonlyMap<string, HostTensor>
}

/** An open checkpoint: checkpoint.json is read, tensors are not. */
export interface Checkpoint extends CheckpointInfo {
  readonly folder: string
  readonly params: CheckpointReader
  /** Opens the experts, if they lie apart from the other parameters, in a file of their own. */
  readonly experts?: () => Promise<ExpertSource>
  /** undefined in a checkpoint of parameters only. */
  readonly optimizer: CheckpointReader | undefined
  readonly state: CheckpointReader | undefined
  close(): Promise<void>
}

/**
 * Writes `runFolder/step-<n>` and returns its path. When it is in place and on the disk, older checkpoints that are not
 * to be kept are deleted (see `Keep`). A checkpoint of the same step is replaced. The tensors' memory is not copied:
 * leave it alone until the promise settles.
 */
export async function saveCheckpoint(
  runFolder: string,
  content: CheckpointContent,
  keep: Keep = { keep: Infinity },
): Promise<string> {
  checkKeep(keep)
  const folder = join(runFolder, `step-${content.step}`)
  const { params, optimizer, state, ...info } = content
  const tensors: Parts = {
    params: splitSource(params),
    optimizer: splitSource(optimizer),
    state: state && sourceOf(state),
  }
  await writeParts(folder, info, tensors, {}, true)
  await removeSurplus(runFolder, content.step, content.best?.step, keep)
  return folder
}

/** What is written beside the tensors of a model. */
export interface ModelFiles {
  /** Small files by name, such as a vocabulary. */
  readonly files?: Readonly<Record<string, Uint8Array>>
  /** Writes further files into the folder, and returns the checksums of theirs that checkpoint.json is to hold. */
  readonly write?: (folder: string) => Promise<Readonly<Record<string, Checksums>>>
}

/** Writes only a model's weights, and files beside them. They can be run, but training cannot be resumed. */
export async function saveModel(
  folder: string,
  { config, task = null }: { config: Json; task?: unknown },
  params: TensorSource,
  beside: ModelFiles = {},
): Promise<void> {
  await writeParts(folder, { ...unknownRun, config, task }, { params }, {}, false, beside)
}

/** The entries of checkpoint.json for weights that are not from a training run. */
const unknownRun = {
  step: 0,
  config: null,
  task: null,
  data: null,
  seed: 0,
  backendVersion: '',
  threads: 1,
  libraryVersion: '',
}

/**
 * Opens a checkpoint folder; close it after use. Tensors are compared with their checksums when they are read. Throws a
 * FileError if checkpoint.json or the header of a tensor file is damaged. With `onLeftOut`, which receives what is
 * wrong, a damaged file of anything else than parameters is left out: `optimizer` or `state` is then undefined.
 */
export async function loadCheckpoint(folder: string, onLeftOut?: (damage: string) => void): Promise<Checkpoint> {
  const { info, checksums } = await readInfo(folder)
  const apart = checksums?.[indexName]?.index
  const opened: CheckpointReader[] = []
  const close = async (): Promise<void> => {
    for (const reader of opened) await reader.close()
  }
  const part = async (name: string): Promise<CheckpointReader> => {
    const reader = await openPart(folder, name, checksums?.[name])
    opened.push(reader)
    return reader
  }
  const optionalPart = async (name: string): Promise<CheckpointReader | undefined> => {
    if (checksums?.[name] === undefined && !(await withPath(folder, () => exists(join(folder, name))))) return undefined
    try {
      return await part(name)
    } catch (error) {
      if (onLeftOut === undefined || !(error instanceof FileError)) throw error
      onLeftOut(error.message.replace(`; ${goBack(folder)}`, ''))
      return undefined
    }
  }
  try {
    const dense = await part(paramsName)
    const params = apart === undefined ? dense : await withApartExperts(dense, folder, apart)
    opened[0] = params
    return {
      ...info,
      folder,
      params,
      experts: apart === undefined ? undefined : () => apartExperts(folder, apart),
      optimizer: await optionalPart(optimizerName),
      state: await optionalPart(stateName),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * The parameters of a checkpoint folder as a `CheckpointFormat`. A checkpoint that it writes has no optimizer state: it
 * can be used for inference, but training cannot be resumed.
 */
export const native: CheckpointFormat = {
  name: 'native',

  detect: path => isFile(join(path, infoName)),

  async open(path) {
    const { checksums } = await readInfo(path)
    const reader = await openPart(path, paramsName, checksums?.[paramsName])
    const apart = checksums?.[indexName]?.index
    try {
      return apart === undefined ? reader : await withApartExperts(reader, path, apart)
    } catch (error) {
      await reader.close()
      throw error
    }
  },

  async write(path, source, options = {}) {
    if (options.replace) await refuseForeignFolder(path)
    await writeParts(path, unknownRun, { params: source }, options.metadata ?? {}, options.replace ?? false)
  },
}

interface Parts {
  params: TensorSource
  optimizer?: TensorSource
  state?: TensorSource
}

async function writeParts(
  folder: string,
  info: Omit<CheckpointContent, keyof Parts>,
  parts: Parts,
  metadata: Readonly<Record<string, string>>,
  replace: boolean,
  { files, write: writeOthers }: ModelFiles = {},
): Promise<void> {
  const checked = checkInfo(folder, info)
  const checksums: Record<string, Checksums> = {}
  const write = async (
    path: string,
    name: string,
    tensors: TensorSource,
    options: { metadata?: Readonly<Record<string, string>> } = {},
  ): Promise<void> => {
    const summed = withChecksums(tensors)
    await safetensors.write(join(path, name), summed.source, options)
    checksums[name] = summed.checksums
  }
  await writeFolderAtomically(
    folder,
    async temp => {
      await write(temp, paramsName, parts.params, { metadata })
      if (parts.optimizer) await write(temp, optimizerName, parts.optimizer)
      if (parts.state) await write(temp, stateName, parts.state)
      Object.assign(checksums, await writeOthers?.(temp))
      for (const [name, bytes] of Object.entries({ ...files, [infoName]: infoText(folder, checked, checksums) }))
        await withPath(folder, () => writeFile(join(temp, name), bytes))
    },
    { replace },
  )
}

async function openPart(folder: string, name: string, checksums: Checksums | undefined): Promise<CheckpointReader> {
  try {
    const reader = await safetensors.open(join(folder, name))
    return checksums === undefined ? reader : checkedReader(reader, checksums)
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    throw new FileError(`${error.message}; ${goBack(folder)}`, { cause: error })
  }
}

/** Replacing deletes the old folder. Throws a FileError unless it is a checkpoint or empty. */
async function refuseForeignFolder(path: string): Promise<void> {
  if ((await native.detect(path)) || (await namesIn(path)).length === 0) return
  throw new FileError(
    `${path}: this folder is not a checkpoint of ours and is not replaced: choose another name, or remove it first`,
  )
}
