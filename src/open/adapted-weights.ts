import { join, resolve } from 'node:path'
import { ConfigError, FileError } from '../base/errors.js'
import { exists } from '../checkpoint/atomic.js'
import { isFile } from '../checkpoint/files.js'
import { quote } from '../checkpoint/format.js'
import { hubNameOf } from '../checkpoint/hub/name.js'
import { weightFiles } from '../checkpoint/index-file.js'
import { adaptedWeights } from '../checkpoint/names/adapted-weights.js'
import { openPeftAdapter, readPeftConfig } from '../checkpoint/names/peft-read.js'
import type { Weights } from '../checkpoint/weights.js'

/** The base of an adapter: a folder, or a model of the hub. */
export type AdapterBase = { readonly folder: string } | { readonly hub: string; readonly revision?: string }

/**
 * Where the base of the adapter in a folder is: the folder itself if it holds weights too, as in transformers;
 * otherwise what adapter_config.json names. A name is a folder (from the working directory as in PEFT, then from the
 * adapter's folder, then beside it), or else a model of the hub. Throws an error if it is neither.
 */
export async function adapterBase(folder: string): Promise<AdapterBase> {
  if (await holdsWeights(folder)) return { folder }
  const { base, revision } = await readPeftConfig(folder)
  if (base === undefined || base === '')
    throw new ConfigError(
      `${folder}: adapter_config.json names no base: put the folder of the base, or its name on the hub, into base_model_name_or_path`,
    )
  for (const path of [resolve(base), resolve(folder, base), resolve(folder, '..', base)])
    if (path !== resolve(folder) && (await exists(path))) return { folder: path }
  const hub = hubNameOf(base)
  if (hub !== undefined) return { hub, revision }
  throw new FileError(
    `${folder}: the adapter's base ${quote(base)} is neither a folder nor a name on the hub: put the base's path into base_model_name_or_path of adapter_config.json`,
  )
}

async function holdsWeights(folder: string): Promise<boolean> {
  if (!(await isFile(join(folder, 'config.json')))) return false
  for (const file of weightFiles) if (await isFile(join(folder, file))) return true
  return false
}

/**
 * Opens the adapter in a folder and its base, and merges them when weights are read. `openBase` opens the base; close
 * the result after use. A base on the hub is fetched if it is not in the cache.
 */
export async function openAdapted<W extends Weights>(
  folder: string,
  openBase: (path: string) => Promise<W>,
  onNotice?: (message: string) => void,
): Promise<{ weights: Weights; base: W }> {
  const adapter = await openPeftAdapter(folder)
  try {
    const found = await adapterBase(folder)
    const base = await openBase('folder' in found ? found.folder : await fetched(found, onNotice))
    try {
      return { weights: await adaptedWeights(base, adapter), base }
    } catch (error) {
      await base.close()
      throw error
    }
  } catch (error) {
    await adapter.close()
    throw error
  }
}

async function fetched(
  { hub, revision }: Extract<AdapterBase, { hub: string }>,
  onNotice?: (message: string) => void,
): Promise<string> {
  const { fetchModel } = await import('../checkpoint/hub/fetch-model.js')
  return fetchModel(hub, { revision, onNotice })
}
