import { join } from 'node:path'
import { FileError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import { listItems, listNames, quote } from '../format.js'
import { readSmallText } from '../files.js'
import { isIndex, maxIndexBytes, weightFiles } from '../index-file.js'
import { parseJson } from '../json.js'
import type { Json } from '../json.js'
import { modulesFile } from '../sentence-transformers/modules.js'
import { ModelCache } from './cache.js'
import { Connection } from './connection.js'
import { HubError, TransientError } from './errors.js'
import { fetchFiles } from './fetch-files.js'
import type { FetchProgress } from './fetch-files.js'
import { listModel, resolveCommit } from './listing.js'
import type { RemoteFile } from './listing.js'
import { checkModel, isCommit } from './name.js'
import type { HubModel } from './name.js'
import { writeRemoteList } from './remote-list.js'
import { readSettings } from './settings.js'
import type { HubSettings } from './settings.js'
import { cachedSnapshot } from './snapshot.js'
import type { CachedSnapshot } from './snapshot.js'
import { modulesOf, nameIn, shardsOf, storageOf, wantedFolders } from './wanted.js'

export interface FetchOptions {
  /** A branch, a tag or a commit; by default `main`. */
  readonly revision?: string
  /** Files of the model's own folder to fetch as well, if it has them. */
  readonly also?: readonly string[]
  /**
   * Leave the weights of a sparse model on the hub: `openTextModel` with `expertsMemory` fetches what it needs of them.
   * Default: false. A model that has no experts is downloaded nevertheless.
   */
  readonly leaveWeights?: boolean
  /** Use the cache only, as with HF_HUB_OFFLINE=1. */
  readonly offline?: boolean
  readonly onProgress?: (progress: FetchProgress) => void
  /**
   * Called with a message for the user when a failed request is repeated, and when a cached copy is used because the
   * hub cannot be reached.
   */
  readonly onNotice?: (message: string) => void
  /** Aborts with the signal's reason. Downloaded parts are kept, and the next call resumes from them. */
  readonly signal?: AbortSignal
  /** The wait in seconds after a first failed try; it doubles with each further one. */
  readonly firstWait?: number
}

/**
 * Downloads a model of the Hugging Face hub: its configuration, vocabulary and weights, and the modules that follow it
 * if sentence-transformers saved it. Returns the folder of the snapshot in the cache, which is shared with Python's
 * huggingface_hub. The environment variables are huggingface_hub's too: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN,
 * HF_HUB_OFFLINE. A commit in the cache is used without any request. Throws a HubError if the hub refuses a request, a
 * TransientError without a connection, a FileError for the cache or the disk, and a ConfigError for a wrong name or
 * variable. Each message says what to do.
 */
export async function fetchModel(repo: string, options: FetchOptions = {}): Promise<string> {
  const model: HubModel = { repo, revision: options.revision ?? 'main' }
  checkModel(model)
  const settings = await readSettings()
  const cache = new ModelCache(settings.cache, repo)
  const cached = await cachedSnapshot(cache, model, options)
  if (options.offline || settings.offline) return offlineFolder(cache, model, cached)

  const found = await lookUp(settings, cache, model, cached, options)
  if ('folder' in found) return found.folder
  await fetchSnapshot(new Connection(settings, model, options), cache, found.commit, found.files, options)
  return cache.snapshot(found.commit)
}

function offlineFolder(cache: ModelCache, { repo, revision }: HubModel, cached: CachedSnapshot | undefined): string {
  if (cached?.missing.length === 0) return cached.folder
  const lacks =
    cached === undefined
      ? `knows no revision ${quote(revision)} of it`
      : `lacks ${listItems(cached.missing)} of commit ${cached.commit}`
  throw new FileError(
    `${cache.folder}: ${repo} is wanted offline, and the cache ${lacks}: fetch it once with a connection (without HF_HUB_OFFLINE), or set HF_HUB_CACHE to the cache that has it`,
  )
}

/**
 * Asks the hub for the revision's commit and files, unless the cache knows them. If the hub cannot be reached, a
 * complete copy in the cache is used.
 */
async function lookUp(
  settings: HubSettings,
  cache: ModelCache,
  model: HubModel,
  cached: CachedSnapshot | undefined,
  options: FetchOptions,
): Promise<{ folder: string } | { commit: string; files: Map<string, RemoteFile> }> {
  const isUsable = cached?.missing.length === 0
  const connection = new Connection(settings, model, { ...options, attempts: isUsable ? 1 : undefined })
  try {
    const commit = isCommit(model.revision) ? model.revision : await resolveCommit(connection)
    const snapshot = await cachedSnapshot(cache, { ...model, revision: commit }, options)
    if (!snapshot?.complete) return { commit, files: await listModel(connection, commit) }
    await note(() => cache.setCommit(model.revision, commit))
    return snapshot
  } catch (error) {
    if (!(error instanceof TransientError)) throw error
    if (!isUsable)
      throw new TransientError(
        `${model.repo}: ${error.message}, and the cache (${cache.folder}) does not hold ${model.revision}: check the connection, and HF_ENDPOINT if you set it`,
        error.retryAfter,
        { cause: error },
      )
    options.onNotice?.(
      `${model.repo}: ${error.message}; using commit ${cached.commit} from the cache, which may not be the newest of ${model.revision}`,
    )
    return cached
  }
}

async function fetchSnapshot(
  connection: Connection,
  cache: ModelCache,
  commit: string,
  files: ReadonlyMap<string, RemoteFile>,
  options: FetchOptions,
): Promise<void> {
  const fetch = (wanted: readonly RemoteFile[]): Promise<void> => fetchFiles(connection, cache, commit, wanted, options)
  const list = files.get(modulesFile)
  if (list !== undefined) await fetch([list])
  const snapshot = cache.snapshot(commit)
  const modules = list && (await modulesOf(snapshot))
  const all = modules ? await listModel(connection, commit, { recursive: true }) : files
  const { repo, revision } = connection.model
  const get = (name: string): RemoteFile => {
    const file = all.get(name)
    if (file === undefined)
      throw new HubError(
        `${repo}: the model has no ${quote(name)} on the hub at ${revision}: it is incomplete, or not in the format of Transformers`,
      )
    return file
  }
  const needed: RemoteFile[] = []
  const left: RemoteFile[] = []
  const absent: string[] = []
  if (options.leaveWeights) await fetch([get('config.json')])
  const leaves = options.leaveWeights && !modules && (await isSparse(join(snapshot, 'config.json')))
  for (const { folder, required, optional, weights: choices } of wantedFolders(
    modules,
    storageOf(name => files.has(name)),
    options.also,
  )) {
    const at = (name: string): string => nameIn(folder, name)
    const weights = choices.length > 0 ? get(weightsOf(all, choices.map(at), repo)) : undefined
    const known = optional.map(at)
    needed.push(...[...required.map(at), ...known.filter(name => all.has(name))].map(get))
    absent.push(...known.filter(name => !all.has(name)))
    if (weights === undefined) continue
    const data = leaves && choices === weightFiles ? left : needed
    if (!isIndex(weights.name)) {
      data.push(weights)
      continue
    }
    checkIndexSize(weights, repo)
    await fetch([weights])
    data.push(...(await shardsOf(join(snapshot, weights.name))).map(at).map(get))
  }
  await fetch(needed)
  if (left.length > 0) await writeRemoteList(cache.folder, commit, { repo, files: left })
  for (const name of absent) await note(() => cache.setAbsent(commit, name))
  // This comes last, so that the revision's old files can be used until the new ones are complete.
  await note(() => cache.setCommit(revision, commit))
}

/** The first of `names` that the model has: its weights, or their index. Throws a HubError if it has none. */
function weightsOf(files: ReadonlyMap<string, RemoteFile>, names: readonly string[], repo: string): string {
  const weights = names.find(name => files.has(name))
  if (weights !== undefined) return weights
  throw new HubError(
    `${repo}: the model has no weights on the hub that can be read here, which would be ${names.join(' or ')}: it has ${listNames([...files.keys()])}`,
  )
}

/** Whether a model has experts, by its config.json. */
async function isSparse(config: string): Promise<boolean> {
  const broken = (message: string): FileError => new FileError(`${config}: this is not JSON, ${message}`)
  const settings = parseJson(await readSmallText(config, maxIndexBytes), broken) as { num_experts?: Json } | null
  return Number(settings?.num_experts) > 0
}

function checkIndexSize({ name, size }: RemoteFile, repo: string): void {
  if (size > maxIndexBytes)
    throw new HubError(
      `${repo}: ${name} has ${formatBytes(size)}, more than the ${formatBytes(maxIndexBytes)} that an index may have`,
    )
}

/** Writes an entry that only saves later requests. Failure is ignored: the cache may be shared and read-only. */
async function note(body: () => Promise<void>): Promise<void> {
  try {
    await body()
  } catch (error) {
    if (!(error instanceof FileError)) throw error
  }
}
