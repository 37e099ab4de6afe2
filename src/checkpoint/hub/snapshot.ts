import { basename, join } from 'node:path'
import { FileError } from '../../base/errors.js'
import { isIndex } from '../index-file.js'
import type { ModelCache } from './cache.js'
import type { HubModel } from './name.js'
import { readRemoteList } from './remote-list.js'
import { modulesOf, nameIn, shardsOf, storageFiles, storageOf, wantedFolders } from './wanted.js'

/** The files of a model at a commit that the cache holds. */
export interface CachedSnapshot {
  readonly commit: string
  readonly folder: string
  /** Required files that are missing. */
  readonly missing: readonly string[]
  /**
   * Whether no required file is missing and the cache knows which optional files the model has. Then the hub need not
   * be asked.
   */
  readonly complete: boolean
}

/**
 * Reads the cache's snapshot of a revision; undefined if the cache knows no commit for it. `also`: optional files that
 * are wanted beside those of a model. `leaveWeights`: files of weights that were left on the hub are not missing.
 */
export async function cachedSnapshot(
  cache: ModelCache,
  { revision }: HubModel,
  { also, leaveWeights = false }: { readonly also?: readonly string[]; readonly leaveWeights?: boolean } = {},
): Promise<CachedSnapshot | undefined> {
  const commit = await cache.commitOf(revision)
  if (commit === undefined) return undefined
  const folder = cache.snapshot(commit)
  const list = leaveWeights ? await readRemoteList(cache.folder, commit) : undefined
  const left = new Set(list?.files.map(file => file.name))
  const isThere = async (name: string): Promise<boolean> =>
    left.has(name) || (await cache.sizeOf(commit, name)) !== undefined

  const missing: string[] = []
  let isKnown = true
  const present = new Set<string>()
  for (const name of storageFiles) if (await isThere(name)) present.add(name)
  for (const wanted of wantedFolders(
    await modulesOf(folder),
    storageOf(name => present.has(name)),
    also,
  )) {
    const at = (name: string): string => nameIn(wanted.folder, name)
    for (const name of wanted.required) if (!(await isThere(at(name)))) missing.push(at(name))
    for (const name of wanted.optional)
      isKnown &&= (await isThere(at(name))) || (await cache.isAbsent(commit, at(name)))
    if (wanted.weights.length === 0) continue
    const weights = await firstOf(wanted.weights.map(at), isThere)
    if (weights === undefined) missing.push(wanted.weights.map(at).join(' or '))
    else if (isIndex(weights))
      for (const shard of await shardsIn(join(folder, weights)))
        if (!(await isThere(at(shard)))) missing.push(at(shard))
  }
  return { commit, folder, missing, complete: missing.length === 0 && isKnown }
}

/** The shards that an index in the cache lists. A broken index counts as missing, and is fetched again. */
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
