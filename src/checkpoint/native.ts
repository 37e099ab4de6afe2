import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { FileError, SwitchyardError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'
import type { HostTensor } from '../base/host-tensor.js'
import { isFile, namesIn, readSmallText, withPath } from './files.js'
import { exists, removeAtomically, writeFolderAtomically } from './atomic.js'
import { sourceOf } from './format.js'
import type { CheckpointFormat, CheckpointReader, TensorSource } from './format.js'
import { findNotJson, parseJson } from './json.js'
import type { Json } from './json.js'
import { safetensors } from './safetensors.js'

const version = 1
const maxJsonBytes = 64 * 2 ** 20
const jsonName = 'checkpoint.json'
const paramsName = 'params.safetensors'
const optimizerName = 'optimizer.safetensors'
const stateName = 'state.safetensors'

const json = z.custom<Json>(value => value !== undefined, 'is missing')
const count = z.int().min(0)

const infoSchema = z.strictObject({
  format: z.literal('switchyard'),
  version: z.literal(version),
  step: count,
  /** `config`, `task` and `data` belong to other folders of src/ and are stored unchanged. */
  config: json,
  task: json,
  /** The position of the data iterator. */
  data: json,
  seed: count,
  /** A resumed run is exact only on the same backend version with the same number of threads. */
  backendVersion: z.string(),
  threads: z.int().min(1),
  libraryVersion: z.string(),
})

/** The fields of checkpoint.json, except the format's name and version. */
export type CheckpointInfo = Omit<z.infer<typeof infoSchema>, 'format' | 'version'>
type Opaque = 'config' | 'task' | 'data'

/**
 * The content of a checkpoint to be saved. `config`, `task` and `data` must be values that JSON represents exactly: NaN
 * or a Date are refused.
 */
export interface CheckpointContent extends Omit<CheckpointInfo, Opaque> {
  config: unknown
  task: unknown
  data: unknown
  params: ReadonlyMap<string, HostTensor>
  optimizer: ReadonlyMap<string, HostTensor>
  /** Other tensors. */
  state?: ReadonlyMap<string, HostTensor>
}

/** An open checkpoint: checkpoint.json is read, tensors are not. */
export interface Checkpoint extends CheckpointInfo {
  readonly folder: string
  readonly params: CheckpointReader
  /** undefined in a checkpoint of parameters only. */
  readonly optimizer: CheckpointReader | undefined
  readonly state: CheckpointReader | undefined
  close(): Promise<void>
}

/**
 * Writes `runFolder/step-<n>` and returns its path. When it is in place and on the disk, older steps are deleted, so
 * that the newest `keep` up to this one remain. A checkpoint of the same step is replaced. The tensors' memory is not
 * copied: leave it alone until the promise settles.
 */
export async function saveCheckpoint(
  runFolder: string,
  content: CheckpointContent,
  options: { keep?: number } = {},
): Promise<string> {
  const { keep = Infinity } = options
  if (!(keep >= 1)) throw new SwitchyardError(`keep is ${keep}: the checkpoint that is being saved must be kept`)
  const folder = join(runFolder, `step-${content.step}`)
  const { params, optimizer, state, ...info } = content
  const tensors: Parts = { params: sourceOf(params), optimizer: sourceOf(optimizer), state: state && sourceOf(state) }
  await writeParts(folder, info, tensors, {}, true)

  const { checkpoints, superseded } = await scanRun(runFolder)
  const older = checkpoints.filter(c => c.step < content.step).map(c => c.path)
  const surplus = older.slice(0, Math.max(0, older.length + 1 - keep))
  for (const path of [...superseded, ...surplus]) await removeAtomically(path)
  return folder
}

/**
 * Writes only a model's weights, and `files` (a vocabulary) beside them. They can be run, but training cannot be
 * resumed.
 */
export async function saveModel(
  folder: string,
  { config, task = null }: { config: Json; task?: unknown },
  params: TensorSource,
  files: Readonly<Record<string, Uint8Array>> = {},
): Promise<void> {
  await writeParts(folder, { ...unknownRun, config, task }, { params }, {}, false, files)
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
    (await isFile(join(runFolder, name, jsonName))) && (await isFile(join(runFolder, name, paramsName)))
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

/** Opens a checkpoint folder; close it after use. */
export async function loadCheckpoint(folder: string): Promise<Checkpoint> {
  const info = await readInfo(folder)
  const opened: CheckpointReader[] = []
  const close = async (): Promise<void> => {
    for (const reader of opened) await reader.close()
  }
  const part = async (name: string): Promise<CheckpointReader> => {
    const reader = await openPart(folder, name)
    opened.push(reader)
    return reader
  }
  const optionalPart = async (name: string): Promise<CheckpointReader | undefined> =>
    (await withPath(folder, () => exists(join(folder, name)))) ? part(name) : undefined
  try {
    return {
      ...info,
      folder,
      params: await part(paramsName),
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

  detect: path => isFile(join(path, jsonName)),

  async open(path) {
    await readInfo(path)
    return openPart(path, paramsName)
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
  files: Readonly<Record<string, Uint8Array>> = {},
): Promise<void> {
  const text = infoText(folder, info)
  await writeFolderAtomically(
    folder,
    async temp => {
      await safetensors.write(join(temp, paramsName), parts.params, { metadata })
      if (parts.optimizer) await safetensors.write(join(temp, optimizerName), parts.optimizer)
      if (parts.state) await safetensors.write(join(temp, stateName), parts.state)
      for (const [name, bytes] of Object.entries({ ...files, [jsonName]: text }))
        await withPath(folder, () => writeFile(join(temp, name), bytes))
    },
    { replace },
  )
}

/** The text of checkpoint.json. It is validated like a file that is read, so that a saved checkpoint can be loaded. */
function infoText(folder: string, info: Omit<CheckpointContent, keyof Parts>): string {
  const wrong = (message: string): SwitchyardError =>
    new SwitchyardError(`${folder}: the checkpoint cannot be saved: ${message}`)
  const notJson = findNotJson(info)
  if (notJson !== undefined) throw wrong(`${notJson}, which JSON cannot hold`)
  const checked = infoSchema.safeParse({ format: 'switchyard', version, ...info })
  if (!checked.success) throw wrong(z.prettifyError(checked.error))
  const text = `${JSON.stringify(checked.data, null, 2)}\n`
  const bytes = Buffer.byteLength(text)
  if (bytes > maxJsonBytes)
    throw wrong(
      `${jsonName} would have ${formatBytes(bytes)}, more than ${formatBytes(maxJsonBytes)}: put what is big into tensors`,
    )
  return text
}

async function readInfo(folder: string): Promise<CheckpointInfo> {
  const path = join(folder, jsonName)
  const advice = goBack(folder)
  const text = await readSmallText(path, maxJsonBytes)
  const value = parseJson(text, message => new FileError(`${path}: this is not JSON, ${message}; ${advice}`))
  const newer = z.object({ format: z.literal('switchyard'), version: z.number().gt(version) }).safeParse(value)
  if (newer.success)
    throw new FileError(
      `${path}: it has version ${newer.data.version} of the format, and this Switchyard knows ${version}: update switchyard`,
    )
  const parsed = infoSchema.safeParse(value)
  if (!parsed.success)
    throw new FileError(`${path}: this is not what Switchyard writes; ${advice}\n${z.prettifyError(parsed.error)}`)
  const { format: _format, version: _version, ...info } = parsed.data
  return info
}

const goBack = (folder: string): string => `if the run has an older checkpoint, remove ${folder} to go on from that`

async function openPart(folder: string, name: string): Promise<CheckpointReader> {
  try {
    return await safetensors.open(join(folder, name))
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
