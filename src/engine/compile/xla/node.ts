import { join } from 'node:path'
import { ConfigError, SwitchyardError } from '../../../base/errors.js'
import { cacheFolder } from '../cache-folder.js'
import { collectGarbage } from '../collect-garbage.js'
import { XlaBackend } from './backend.js'
import { finishComputing } from './buffer.js'
import { CompileCache } from './cache.js'
import { createClient } from './client-options.js'
import { cudaDataFolder, cudaLibraries } from './cuda.js'
import { findPlugin, pluginAt } from './find-plugin.js'
import type { FoundPlugin, XlaPlatform } from './find-plugin.js'
import { pluginInstallation } from './install-plugin.js'
import type { XlaOptions } from './options.js'
import type { PjrtClient } from './pjrt/client.js'
import type { CompileOptions } from './pjrt/compile-options.js'
import { PjrtLibrary } from './pjrt/library.js'

/** Makes the backend that compiles with XLA: package.json maps `#pjrt` to this module in Node. */
export async function openXla(options: XlaOptions = {}): Promise<XlaBackend> {
  if (options.platform !== undefined && !platforms.includes(options.platform))
    throw new ConfigError(`platform is ${JSON.stringify(options.platform)}: choose one of ${platforms.join(', ')}`)
  const plugin = options.plugin === undefined ? findPlugin(options.platform) : pluginAt(options.plugin, 'plugin')
  if (plugin === undefined) {
    const install = pluginInstallation(options.platform ?? 'cpu')
    throw new SwitchyardError(
      `the backend xla needs a PJRT plugin${options.platform === undefined ? '' : ` for ${options.platform}`}, and none was found. ` +
        (install ? `Install one (${install}), or set` : 'Set') +
        ' SWITCHYARD_PJRT_PLUGIN to the path of one; switchyard doctor says where it looks',
    )
  }
  const before = plugin.platform === 'cuda' ? cudaLibraries(plugin.path) : []
  const library = await PjrtLibrary.load(plugin.path, { before })
  const client = await createClient(library, options)
  checkPlatform(client, options.platform)
  const folder = options.cache ?? join(cacheFolder(), 'xla')
  const cache = folder === false ? undefined : new CompileCache(folder, client)
  process.off('exit', finish).once('exit', finish)
  return new XlaBackend(client, { collectGarbage, cache, flags: flagsFor(plugin) })
}

/** A program may end, or throw, while results that it does not read are computed. */
const finish = (): void => finishComputing(MOST_SECONDS_AT_END)
const MOST_SECONDS_AT_END = 5

const platforms: readonly XlaPlatform[] = ['cpu', 'cuda', 'tpu']

/** A plugin that the user names may be for other devices than its path tells. */
function checkPlatform(client: PjrtClient, wanted: XlaPlatform | undefined): void {
  const { platform, library } = client
  if (wanted === undefined || platform.toLowerCase() === wanted) return
  client.destroy()
  throw new ConfigError(
    `the PJRT plugin ${library.path} has devices of the platform ${platform}, and ${wanted} was asked for: ` +
      'choose another plugin (SWITCHYARD_PJRT_PLUGIN, or the option plugin), or leave out the platform',
  )
}

/** Flags of XLA that a plugin needs. */
function flagsFor({ path, platform, package: name }: FoundPlugin): CompileOptions['flags'] {
  const folder = platform === 'cuda' ? cudaDataFolder(path) : undefined
  return {
    ...(folder !== undefined && { xla_gpu_cuda_data_dir: folder }),
    // With it, this version multiplies by an embedding wrongly that is donated and used twice.
    ...(name === 'xla-cpu-pjrt' || path.endsWith('/xla_cpu_pjrt.so') ? { xla_cpu_use_xnnpack: false } : {}),
  }
}
