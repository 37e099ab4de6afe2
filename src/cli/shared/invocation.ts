import { join, relative, isAbsolute, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** This package's folder, which holds `dist/cli` and `bin`. */
const ownFolder = fileURLToPath(new URL('../../..', import.meta.url)).replace(/[/\\]$/, '')

/**
 * The command that starts the package in `folder` from the working directory `cwd`, for messages. It is `npx
 * switchyard` only where that runs this installation: elsewhere, npx would download a different package that has this
 * name on npm.
 */
export function invocation(folder = ownFolder, cwd = process.cwd()): string {
  const parts = folder.split(sep)
  if (parts.includes('_npx')) return 'npx switchyard-ml' // started by npx from its cache
  const at = parts.lastIndexOf('node_modules')
  const project = at < 0 ? folder : parts.slice(0, at).join(sep)
  const path = relative(project, cwd)
  if (path !== '..' && !path.startsWith(`..${sep}`) && !isAbsolute(path)) return 'npx switchyard'
  // Outside of the current project: a global installation, or a clone that was started by its path.
  return at < 0 ? `node ${join(folder, 'bin', 'switchyard.js')}` : 'switchyard'
}

/**
 * The command that starts the package without npx, which closes the connection between mpiexec or SLURM and the
 * processes that they start.
 */
export function directInvocation(folder = ownFolder, cwd = process.cwd()): string {
  const usual = invocation(folder, cwd)
  if (usual === 'switchyard') return usual
  const script = join(folder, 'bin', 'switchyard.js')
  return `node ${usual === 'npx switchyard' ? relative(cwd, script) : script}`
}
