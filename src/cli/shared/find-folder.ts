import { dirname } from 'node:path'
import { ConfigError, FileError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import { exists } from '../../checkpoint/atomic.js'
import type { FetchProgress } from '../../checkpoint/hub/fetch-files.js'
import { hubNameOf } from '../../checkpoint/hub/name.js'
import { isPeftAdapter } from '../../checkpoint/names/peft-read.js'
import { runsFolder } from '../../checkpoint/run-folder.js'
import { didYouMeanPath } from '../../data/sources/similar-path.js'
import { adapterBase } from '../../open/adapted-weights.js'
import { shippedModel, shippedModels } from '../../open/shipped-models.js'
import { Exit } from './exit.js'
import { onInterrupt } from './interrupt.js'
import { erasedBar } from './progress.js'

/** What is asked of the hub beside a model's name. */
export interface HubOptions {
  /** A branch, tag or commit. Default: main. */
  readonly revision?: string
  /** Files to fetch as well, if the model has them. */
  readonly also?: readonly string[]
  /** Whether the experts of a model will be fetched when they are met: its weights are not downloaded now. */
  readonly leaveWeights?: boolean
}

/**
 * The folder of a model: the path itself if it exists; otherwise the model of this name that comes with the package;
 * otherwise the cached copy of a model of the Hugging Face hub, which is downloaded if it is not in the cache. The base
 * of an adapter of PEFT is downloaded as well, if the hub has it.
 */
export async function findFolder(
  name: string,
  revision?: string,
  also?: readonly string[],
  leaveWeights?: boolean,
): Promise<string> {
  const folder = await findModelFolder(name, { revision, also, leaveWeights })
  await downloadBases(folder)
  return folder
}

async function findModelFolder(name: string, options: HubOptions): Promise<string> {
  const { revision } = options
  const shipped = await findShipped(name)
  if (shipped !== undefined) {
    if (revision !== undefined)
      throw new ConfigError(
        `${name}: this model comes with Switchyard; --revision is for models of the Hugging Face hub`,
      )
    return shipped
  }
  if (await exists(name)) {
    if (revision !== undefined)
      throw new ConfigError(`${name}: this is a folder; --revision is for models of the Hugging Face hub`)
    return name
  }
  if (await isOnHub(name)) return download(name, options)
  const names = await shippedModels()
  const others = names.length > 0 ? `, a model that comes with Switchyard (${names.join(', ')})` : ''
  const expected = `a run was expected (runs/g2p), a model's folder${others}, or a model of the Hugging Face hub (google/switch-base-8)`
  const advice = await didYouMeanPath(name, expected, [runsFolder], names)
  throw new FileError(`${name}: there is no such folder; ${advice}`)
}

/**
 * Whether a name is one of the hub. A path that exists is not, nor is a path under runs/, or one whose parent folder
 * exists: that is a mistyped path.
 */
export async function isOnHub(name: string): Promise<boolean> {
  const repo = hubNameOf(name)
  if (repo === undefined || name.startsWith('runs/') || (await exists(name))) return false
  return repo !== name || !(await exists(dirname(name)))
}

/** Downloads the base of an adapter, and what that base is an adapter of, if the hub has them. */
async function downloadBases(folder: string): Promise<void> {
  const seen = new Set<string>()
  for (let at = folder; !seen.has(at) && (await isPeftAdapter(at));) {
    seen.add(at)
    const base = await adapterBase(at)
    at = 'folder' in base ? base.folder : await download(base.hub, base)
  }
}

async function download(name: string, options: HubOptions): Promise<string> {
  const { fetchModel } = await import('../../checkpoint/hub/fetch-model.js')
  const progress = showDownload()
  const { signal, stop } = onInterrupt(() =>
    progress.notice('stopping; the downloaded part is kept, and the same command resumes from it'),
  )
  const { revision, also, leaveWeights } = options
  try {
    return await fetchModel(hubNameOf(name) ?? name, {
      revision,
      also,
      leaveWeights,
      signal,
      onProgress: progress.show,
      onNotice: progress.notice,
    })
  } catch (error) {
    throw signal.aborted ? new Exit(130) : error
  } finally {
    stop()
    progress.stop()
  }
}

/**
 * The folder of a model that comes with the package; undefined if there is none of this name. A folder of the user's
 * that has the name comes first. Says which of the two is used, and that a run of the same name is not.
 */
export async function findShipped(name: string): Promise<string | undefined> {
  const shipped = await shippedModel(name)
  if (shipped === undefined) return undefined
  if (await exists(name)) {
    console.error(`${name}: the folder of this name is used; the model that comes with Switchyard is ${shipped}`)
    return undefined
  }
  const run = `runs/${name}`
  if (await exists(run)) console.error(`${name}: the model that comes with Switchyard is used; your run is ${run}`)
  return shipped
}

interface Download {
  show: (progress: FetchProgress) => void
  notice: (message: string) => void
  stop: () => void
}

/** Shows the download on the standard error: as a bar in a terminal, otherwise as one line for each file. */
function showDownload(): Download {
  let file = ''
  if (!process.stderr.isTTY) {
    return {
      show: progress => {
        if (progress.file !== file) console.error(`fetching ${progress.file} (${formatBytes(progress.totalBytes)})`)
        file = progress.file
      },
      notice: message => console.error(message),
      stop: () => undefined,
    }
  }
  const bar = erasedBar('{bar} {percentage}%  {done} of {all}  {file}')
  let isStarted = false
  return {
    show: ({ file: name, allBytes, allTotalBytes }) => {
      const payload = { file: name, done: formatBytes(allBytes), all: formatBytes(allTotalBytes) }
      if (!isStarted || bar.getTotal() !== allTotalBytes) bar.start(allTotalBytes, allBytes, payload)
      else bar.update(allBytes, payload)
      isStarted = true
    },
    notice: message => {
      if (isStarted) bar.stop()
      isStarted = false
      console.error(message)
    },
    stop: () => {
      if (isStarted) bar.stop()
    },
  }
}
