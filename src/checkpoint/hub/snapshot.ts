import { basename, join } from 'node:path'
import { FileError } from '../../base/errors.js'
import { isIndex, weightFiles } from '../index-file.js'
import type { ModelCache } from './cache.js'
import type { HubModel } from './name.js'
import { configFile, optionalFiles, shardsOf } from './wanted.js'

/** What the cache holds of a model at a commit. */
export interface CachedSnapshot {
  readonly commit: string
  readonly folder: string
  /** What the model cannot be opened without, and is not there. */
  readonly missing: readonly string[]
  /** Whether nothing is missing, and it is known of every other file that we use whether the model has it: then there is nothing to ask the hub. */
  readonly complete: boolean
}

/** Looks at the snapshot of the commit that a revision stands for in the cache; undefined if the cache knows of none. */
export async function cachedSnapshot(cache: ModelCache, { revision }: HubModel): Promise<CachedSnapshot | undefined> {
  const commit = await cache.commitOf(revision)
  if (commit === undefined) return undefined
  const folder = cache.snapshot(commit)
  const isThere = async (name: string): Promise<boolean> => (await cache.sizeOf(commit, name)) !== undefined

  const missing = (await isThere(configFile)) ? [] : [configFile]
  const weights = await firstOf(weightFiles, isThere)
  if (weights === undefined) missing.push(weightFiles.join(' or '))
  else if (isIndex(weights))
    for (const shard of await shardsIn(join(folder, weights))) if (!(await isThere(shard))) missing.push(shard)
  const unknown = await firstOf(
    optionalFiles,
    async name => !(await isThere(name)) && !(await cache.isAbsent(commit, name)),
  )
  return { commit, folder, missing, complete: missing.length === 0 && unknown === undefined }
}

/** The shards of an index in the cache. A broken one is as good as missing: it is fetched again. */
async function shardsIn(index: string): Promise<string[]> {
  try {
    return await shardsOf(index)
  } catch (error) {
    if (error instanceof FileError) return [basename(index)]
    throw error
  }
}

async function firstOf(
  names: readonly string[],
  test: (name: string) => Promise<boolean>,
): Promise<string | undefined> {
  for (const name of names) if (await test(name)) return name
  return undefined
}
