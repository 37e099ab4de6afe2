import { randomBytes } from 'node:crypto'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, join, normalize, sep } from 'node:path'
import { threadId } from 'node:worker_threads'
import { FileError } from '../base/errors.js'
import { advice } from '../base/system-errors.js'
import { errorCode, withPath } from './files.js'
import { hasEnded, host, isAbandoned } from './owner.js'

// A file or folder that is being written or deleted has a temporary name in the same folder, because a rename is atomic
// only within one file system. The temporary name contains the writer's host, pid and thread id. From these the next
// writer in the folder tells whether the first one has crashed, and removes what it left.
const temporary = /^\.switchyard-(\w+)-(\d+)-(\d+)-[0-9a-f]{8}$/
const inUse = new Set<string>()

export interface AtomicOptions {
  /** Replace an existing file or folder. By default an existing path is a FileError, and nothing is written. */
  replace?: boolean
  /** Whether the content is on the disk before the path appears, so that it survives a power failure. Default: true. */
  isDurable?: boolean
}

/**
 * Creates a folder atomically: `fill` writes into a temporary folder, whose files are flushed to the disk before it is
 * renamed to `path`. An existing folder is first renamed to `PATH.replaced`. After a crash between the two renames it
 * still has that name; after an error it is renamed back.
 */
export async function writeFolderAtomically(
  path: string,
  fill: (folder: string) => Promise<void>,
  options: AtomicOptions = {},
): Promise<void> {
  await writeAtomically(path, options, async temp => {
    await withPath(path, () => mkdir(temp))
    try {
      await fill(temp)
    } catch (error) {
      // Messages name the path that the user gave.
      if (error instanceof FileError) throw new FileError(error.message.replaceAll(temp, path), { cause: error })
      throw error
    }
    await withPath(path, () => syncTree(temp))
  })
}

/** As `writeFolderAtomically`, for a single file. `write` must not close the handle. */
export async function writeFileAtomically(
  path: string,
  write: (handle: FileHandle) => Promise<void>,
  options: AtomicOptions = {},
): Promise<void> {
  if (await withPath(path, () => isFolder(path)))
    throw new FileError(`${path}: this is a folder, so no file can be written under this name: choose another`)
  await writeAtomically(path, options, async temp => {
    const handle = await withPath(path, () => open(temp, 'wx'))
    try {
      await withPath(path, async () => {
        await write(handle)
        if (options.isDurable !== false) await handle.sync()
      })
    } finally {
      await handle.close()
    }
  })
}

/** Removes a file or folder atomically: after a crash it is either complete or gone. */
export async function removeAtomically(path: string): Promise<void> {
  const temp = temporaryBeside(path)
  try {
    await withPath(path, () => rename(path, temp))
    await withPath(path, () => rm(temp, { recursive: true, force: true }))
  } finally {
    inUse.delete(temp)
  }
}

/**
 * Creates the first folder of `path`, `path-2`, `path-3` ... that does not exist, and returns its name. Two processes
 * that call this at the same time get two different folders.
 */
export async function nextFreeFolder(path: string): Promise<string> {
  const base = withoutEndSeparator(path)
  return withPath(base, async () => {
    await mkdir(dirname(base), { recursive: true })
    for (let n = 1; ; n++) {
      const candidate = n === 1 ? base : `${base}-${n}`
      try {
        await mkdir(candidate)
        return candidate
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error
      }
    }
  })
}

/**
 * Deletes the temporary files and folders that crashed writers left in a folder. Those that cannot be deleted are
 * skipped.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    if (await isLeftover(path).catch(() => false))
      await rm(path, { recursive: true, force: true }).catch(() => undefined)
  }
}

/** Whether a file or a folder has this path. Below a file there is none. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return false
    throw error
  }
}

/** Creates the folder that a file is written to, and those above it. Throws a FileError if one of them is a file. */
export async function makeParent(path: string): Promise<void> {
  await withPath(path, () => mkdir(dirname(path), { recursive: true })).catch((error: unknown) => {
    if (errorCode((error as Error).cause) !== 'EEXIST') throw error
    throw new FileError(`${path}: ${advice.ENOTDIR}`, { cause: error })
  })
}

async function writeAtomically(
  path: string,
  options: AtomicOptions,
  fill: (temp: string) => Promise<void>,
): Promise<void> {
  const target = withoutEndSeparator(path)
  const folder = dirname(target)
  await withPath(path, async () => {
    await makeParent(target)
    await removeLeftovers(folder)
    if (!options.replace) await refuseExisting(target)
  })
  const temp = temporaryBeside(target)
  try {
    await fill(temp)
    await withPath(path, async () => {
      // Checked again, because a rename would silently replace a file that was created in the meantime.
      if (!options.replace) await refuseExisting(target)
      await moveInto(temp, target)
      if (options.isDurable !== false) await syncFolder(folder)
    })
  } catch (error) {
    await rm(temp, { recursive: true, force: true }).catch(() => undefined)
    throw error
  } finally {
    inUse.delete(temp)
  }
}

/** Throws a FileError if a file or a folder has this path already. */
export async function refuseExisting(path: string): Promise<void> {
  if (await exists(path))
    throw new FileError(`${path}: something is there already: choose another name, or remove it first`)
}

/** Renames `temp` to `target`. If that fails, an existing target keeps its name. */
async function moveInto(temp: string, target: string): Promise<void> {
  const aside = `${target}.replaced`
  if (await isFolder(target)) {
    if (await exists(aside)) await removeAtomically(aside)
    await rename(target, aside)
    try {
      await rename(temp, target)
    } catch (error) {
      await rename(aside, target)
      throw error
    }
  } else await rename(temp, target)
  if (await isFolder(aside)) await removeAtomically(aside)
}

async function isFolder(path: string): Promise<boolean> {
  return (await exists(path)) && (await lstat(path)).isDirectory()
}

function temporaryBeside(path: string): string {
  const temp = join(dirname(path), `.switchyard-${host}-${process.pid}-${threadId}-${randomBytes(4).toString('hex')}`)
  inUse.add(temp)
  return temp
}

async function isLeftover(path: string): Promise<boolean> {
  const match = temporary.exec(basename(path))
  if (match === null || inUse.has(path)) return false
  const [, owner, pid, thread] = match
  const isOurs = owner === host && Number(pid) === process.pid && Number(thread) === threadId
  return isOurs || (await hasEnded(owner, Number(pid))) || isAbandoned(await newestChange(path))
}

async function newestChange(path: string): Promise<number> {
  const info = await lstat(path)
  let newest = info.mtimeMs
  if (info.isDirectory())
    for (const name of await readdir(path)) newest = Math.max(newest, await newestChange(join(path, name)))
  return newest
}

/** Flushes a folder's files to the disk, then the folder's entries (the names of the files). */
async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await syncTree(path)
    else if (entry.isFile()) await sync(path)
  }
  await syncFolder(folder)
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder to flush its entries.
  if (process.platform !== 'win32') await sync(folder)
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function withoutEndSeparator(path: string): string {
  const normal = normalize(path)
  return normal.length > 1 && normal.endsWith(sep) ? normal.slice(0, -1) : normal
}
