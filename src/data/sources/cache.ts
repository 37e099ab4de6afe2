import { createHash } from 'node:crypto'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { withPath } from '../../base/system-errors.js'
import { cacheFolder } from '../../engine/compile/cache-folder.js'

/** A cached copy of a file, and whether it was made by this call. */
export interface CachedCopy {
  readonly path: string
  readonly made: boolean
}

/**
 * A copy of a file in another form, which is made by `write` if the cache does not hold it. The copy is found again by
 * the file's path, size and time, and by `form`, which names what `write` does. It appears by a rename, so that it is
 * never seen half-written.
 */
export async function cachedCopy(
  file: string,
  form: string,
  write: (path: string) => Promise<void>,
): Promise<CachedCopy> {
  const { size, mtimeMs } = await withPath(file, () => stat(file))
  const key = createHash('sha256')
    .update(JSON.stringify([form, file, size, mtimeMs]))
    .digest('hex')
  const folder = join(cacheFolder(), 'sources')
  const path = join(folder, key.slice(0, 32))
  if ((await stat(path).catch(() => undefined))?.isFile()) return { path, made: false }
  const unfinished = `${path}.${process.pid}.${Date.now()}.part`
  await withPath(folder, () => mkdir(folder, { recursive: true }))
  try {
    await write(unfinished)
    await withPath(path, () => rename(unfinished, path))
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
  return { path, made: true }
}
