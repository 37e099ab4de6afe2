import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { FileError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'
import { errorCode, withPath } from './files.js'

/** Throws a FileError with both numbers if writing so many bytes at a path would fill its disk. `advice` says what would fit. */
export async function requireDiskSpace(path: string, bytes: number, advice: string): Promise<void> {
  const free = await freeDiskSpace(path)
  if (bytes <= free) return
  throw new FileError(
    `${path}: ${formatBytes(bytes)} are to be written, and this disk has ${formatBytes(free)} free: ${advice}`,
  )
}

/** The bytes that this user may still write on the disk of a path. The path itself need not exist. */
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
