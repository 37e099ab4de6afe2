import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { FileError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'
import { errorCode, withPath } from './files.js'

/**
 * Throws a FileError unless the disk of a path has `bytes` free. `advice` is the end of the message: what the user can
 * do.
 */
export async function requireDiskSpace(path: string, bytes: number, advice: string): Promise<void> {
  const free = await freeDiskSpace(path)
  if (bytes <= free) return
  throw new FileError(
    `${path}: writing needs ${formatBytes(bytes)}, and this disk has ${formatBytes(free)} free: ${advice}`,
  )
}

/** The free bytes for this user on the disk of a path. The path itself need not exist. */
export async function freeDiskSpace(path: string): Promise<number> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await withPath(folder, () => statfs(folder))
      return bavail * bsize
    } catch (error) {
      const missing = ['ENOENT', 'ENOTDIR'].includes(errorCode((error as Error).cause) ?? '')
      if (!missing || folder === dirname(folder)) throw error
    }
  }
}
