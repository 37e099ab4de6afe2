import { join, relative, isAbsolute, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** This package's folder, which holds `dist/cli` and `bin`. */
const ownFolder = fileURLToPath(new URL('../..', import.meta.url)).replace(/[/\\]$/, '')

/**
 * How a person at `cwd` starts the command line of the package in `folder`, as printed in messages. `npx switchyard` only where it
 * is the local one: elsewhere npx would fetch another package that has this name on npm.
 */
export function invocation(folder = ownFolder, cwd = process.cwd()): string {
  const parts = folder.split(sep)
  if (parts.includes('_npx')) return 'npx switchyard-ml' // in the cache of npx
  const at = parts.lastIndexOf('node_modules')
  const project = at < 0 ? folder : parts.slice(0, at).join(sep)
  const path = relative(project, cwd)
  if (path !== '..' && !path.startsWith(`..${sep}`) && !isAbsolute(path)) return 'npx switchyard'
  // Outside of the project: an installation for all projects, or a clone that was started by its path.
  return at < 0 ? `node ${join(folder, 'bin', 'switchyard.js')}` : 'switchyard'
}
