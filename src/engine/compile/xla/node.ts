import { join } from 'node:path'
import { SwitchyardError } from '../../../base/errors.js'
import { cacheFolder } from '../cache-folder.js'
import { collectGarbage } from '../collect-garbage.js'
import { XlaBackend } from './backend.js'
import { CompileCache } from './cache.js'
import { createClient } from './client-options.js'
import { findPlugin } from './find-plugin.js'
import type { XlaOptions } from './options.js'
import { PjrtLibrary } from './pjrt/library.js'

/** Makes the backend that compiles with XLA: package.json maps `#pjrt` to this module in Node. */
export async function openXla(options: XlaOptions = {}): Promise<XlaBackend> {
  const plugin = options.plugin ?? findPlugin()
  if (plugin === undefined)
    throw new SwitchyardError(
      'XLA needs a PJRT plugin, and none was found. Install one (pip install lammps-jax-pjrt-cpu), or set ' +
        'SWITCHYARD_PJRT_PLUGIN to its path',
    )
  const library = await PjrtLibrary.load(plugin)
  const client = await createClient(library, options)
  const folder = options.cache ?? join(cacheFolder(), 'xla')
  return new XlaBackend(client, { collectGarbage, cache: folder === false ? undefined : new CompileCache(folder) })
}
