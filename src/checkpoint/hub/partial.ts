import { randomBytes } from 'node:crypto'
import { lstat, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../files.js'
import { hasEnded, host, isAbandoned } from '../owner.js'

// The downloaded part of a blob is kept in ETAG.incomplete. A process that resumes the download first renames it to a
// name of its own, ETAG.HOST-PID-RANDOM.incomplete. Of several processes only one succeeds, so no two write the same
// file. Others that want the same blob in the meantime download it from the start, as Python does.
const owned = /^\.(\w+)-(\d+)-[0-9a-f]{8}\.incomplete$/

/**
 * Takes over the downloaded part of a blob, if there is one. Returns the path to write to, where no file may exist yet.
 */
export async function claimPartial(blob: string): Promise<string> {
  const own = `${blob}.${host}-${process.pid}-${randomBytes(4).toString('hex')}.incomplete`
  for (const { path } of await partials(blob)) {
    try {
      await rename(path, own)
      return own
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error // another process has taken it
    }
  }
  return own
}

/** Releases the downloaded part of a blob, so that another download can resume it. */
export async function releasePartial(own: string, blob: string): Promise<void> {
  const left = `${blob}.incomplete`
  const size = await sizeOf(own)
  if (size === 0 || size < (await sizeOf(left))) await rm(own, { force: true })
  else await rename(own, left)
}

/** Deletes abandoned parts of a blob that is complete now. */
export async function discardPartials(blob: string): Promise<void> {
  for (const { path } of await partials(blob)) await rm(path, { force: true })
}

/** The number of a blob's bytes that can be resumed from. */
export async function partialBytes(blob: string): Promise<number> {
  return (await partials(blob))[0]?.bytes ?? 0
}

/** The parts that may be taken over, the largest first. */
async function partials(blob: string): Promise<{ path: string; bytes: number }[]> {
  const found: { path: string; bytes: number }[] = []
  for (const name of await readdir(dirname(blob))) {
    if (!name.startsWith(basename(blob))) continue
    const path = join(dirname(blob), name)
    const info = await lstat(path).catch(() => undefined) // its owner may have just renamed it
    if (info?.isFile() && (await isFree(name.slice(basename(blob).length), info.mtimeMs)))
      found.push({ path, bytes: info.size })
  }
  return found.sort((a, b) => b.bytes - a.bytes)
}

/** Whether a part with this file name ending has no owner, or one that no longer runs. */
async function isFree(ending: string, changedMs: number): Promise<boolean> {
  if (ending === '.incomplete') return true
  const match = owned.exec(ending)
  if (match === null) return false
  const [, owner, pid] = match
  return (await hasEnded(owner, Number(pid))) || isAbandoned(changedMs)
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await lstat(path)).size
  } catch {
    return 0
  }
}
