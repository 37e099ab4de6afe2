import { basename, dirname, join, resolve } from 'node:path'
import { formatBytes } from '../../base/format.js'
import { cachedExperts } from '../experts/cached.js'
import { expertsOf } from '../experts/from-weights.js'
import { PageCache } from '../experts/page-cache.js'
import { pagesLimit } from '../experts/pages-limit.js'
import type { ExpertSource, ExpertTraffic } from '../experts/source.js'
import { isFile } from '../files.js'
import type { CheckpointReader } from '../format.js'
import { openHfFolder } from '../names/hf-folder.js'
import { openSafetensors } from '../safetensors-read.js'
import { filesIn } from '../sharded.js'
import type { WeightFiles } from '../sharded.js'
import { openTorch } from '../torch/read.js'
import type { Weights } from '../weights.js'
import { Connection } from './connection.js'
import { keptRanges } from './kept-ranges.js'
import type { RemoteFile } from './listing.js'
import { isCommit } from './name.js'
import { HubRanges } from './ranges.js'
import { readAhead } from './read-ahead.js'
import { readersOf } from './remote-experts.js'
import { rangesFolder, readRemoteList } from './remote-list.js'
import { readSettings } from './settings.js'

export interface RemoteOptions {
  /** Use the cache only, as with HF_HUB_OFFLINE=1: what it lacks is an error. */
  readonly offline?: boolean
  /** Receives messages for the user: how much of the dense weights was fetched, that a failed request is repeated. */
  readonly onNotice?: (message: string) => void
  /** Aborts all requests with the signal's reason. */
  readonly signal?: AbortSignal
  /** The wait in seconds after a first failed try; it doubles with each further one. */
  readonly firstWait?: number
}

/** Weights of which a part is on the hub. */
export type RemoteWeights = Weights & Required<Pick<Weights, 'remote'>>

/**
 * The weights of a folder that `fetchModel` has returned with `leaveWeights`, or undefined if all files of weights are
 * in the folder. Files that are not there are read on the hub by ranges: headers and dense weights when they are read,
 * an expert when it is. What was fetched is kept in the folder `switchyard` of the model in the hub's cache, up to
 * SWITCHYARD_PAGES_LIMIT. Throws a HubError if a file has changed on the hub or its server cannot send ranges.
 */
export async function openRemoteWeights(
  folder: string,
  options: RemoteOptions = {},
): Promise<RemoteWeights | undefined> {
  const commit = basename(resolve(folder))
  const model = dirname(dirname(resolve(folder)))
  const list = isCommit(commit) ? await readRemoteList(model, commit) : undefined
  const remote = new Map<string, RemoteFile>()
  for (const file of list?.files ?? []) if (!(await isFile(join(folder, file.name)))) remote.set(file.name, file)
  if (!list || remote.size === 0) return undefined

  const { signal, onNotice, firstWait } = options
  const settings = await readSettings()
  const connection = new Connection(settings, { repo: list.repo, revision: commit }, { signal, onNotice, firstWait })
  const place = rangesFolder(model)
  // Every start needs the headers and the dense weights, so experts never push them out.
  const cache = new PageCache(place, await pagesLimit(place), { onUnwritable: onNotice, keptLonger: 'dense' })
  const dense = cache.under('dense')
  let fetched = 0
  const onBytes = (bytes: number): void => {
    fetched += bytes
  }
  const offline = options.offline || settings.offline
  const local = filesIn(folder)
  const files: WeightFiles = {
    has: async name => remote.has(name) || local.has(name),
    open: async (name): Promise<CheckpointReader> => {
      const file = remote.get(name)
      if (!file) return local.open(name)
      const ranges = new HubRanges(connection, commit, file, { offline, onBytes })
      return name.endsWith('.bin')
        ? openTorch(keptRanges(ranges, dense, 'bothEnds'))
        : openSafetensors(keptRanges(ranges, dense, 'beginning'))
    },
    maxOpen: Infinity,
  }
  const weights = await openHfFolder(folder, files)
  const sources: ExpertSource[] = []
  const openExperts = async (): Promise<ExpertSource> => {
    const source = cachedExperts({ source: await expertsOf(weights), cache: cache.under(`experts/${commit}`) })
    sources.push(source)
    return source
  }
  const read = readAhead(weights, () => onNotice?.(`${list.repo}: ${formatBytes(fetched)} of weights fetched so far`))
  return {
    ...weights,
    read,
    ...(weights.experts ? readersOf(weights, read, await openExperts()) : {}),
    ...(weights.specs.some(({ role }) => role === 'expertKernel') && { experts: openExperts }),
    remote: {
      expertTraffic: () => {
        const all = sources.map(source => source.traffic())
        const sum = (kind: keyof ExpertTraffic): number => all.reduce((bytes, traffic) => bytes + traffic[kind], 0)
        return { disk: sum('disk'), network: sum('network') }
      },
      fetchedBytes: () => fetched,
    },
  }
}
