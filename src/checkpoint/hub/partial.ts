import { randomBytes } from 'node:crypto'
import { lstat, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../files.js'
import { hasEnded, host, isAbandoned } from '../owner.js'

// What has come of a blob waits in ETAG.incomplete. Who goes on with it first renames it to a name of its own,
// ETAG.HOST-PID-RANDOM.incomplete: a rename succeeds for one of several processes, so no two ever write the same file.
// Another one that wants the same blob meanwhile fetches all of it, as Python does.
const owned = /^\.(\w+)-(\d+)-[0-9a-f]{8}\.incomplete$/

/** Takes over what there is of a blob. Returns the path to write to; nothing may be there. */
export async function claimPartial(blob: string): Promise<string> {
  const own = `${blob}.${host}-${process.pid}-${randomBytes(4).toString('hex')}.incomplete`
  for (const { path } of await partials(blob)) {
    try {
      await rename(path, own)
      return own
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error // another process was faster
    }
  }
  return own
}

/** Leaves what has come of a blob to the next one that wants it. */
export async function releasePartial(own: string, blob: string): Promise<void> {
  const left = `${blob}.incomplete`
  const size = await sizeOf(own)
  if (size === 0 || size < (await sizeOf(left))) await rm(own, { force: true })
  else await rename(own, left)
}

/** Deletes what others have left of a blob that is complete now. */
export async function discardPartials(blob: string): Promise<void> {
  for (const { path } of await partials(blob)) await rm(path, { force: true })
}

/** How many bytes of a blob have come already. */
export async function partialBytes(blob: string): Promise<number> {
  return (await partials(blob))[0]?.bytes ?? 0
}

/** The files that may be taken over, the largest first. */
async function partials(blob: string): Promise<{ path: string; bytes: number }[]> {
  const found: { path: string; bytes: number }[] = []
  for (const name of await readdir(dirname(blob))) {
    if (!name.startsWith(basename(blob))) continue
    const path = join(dirname(blob), name)
    const info = await lstat(path).catch(() => undefined) // its owner may have renamed it meanwhile
    if (info?.isFile() && isFree(name.slice(basename(blob).length), info.mtimeMs))
      found.push({ path, bytes: info.size })
  }
  return found.sort((a, b) => b.bytes - a.bytes)
}

/** Whether a file with this ending has no owner, or none that still works on it. */
function isFree(ending: string, changedMs: number): boolean {
  if (ending === '.incomplete') return true
  const match = owned.exec(ending)
  if (match === null) return false
  const [, owner, pid] = match
  return hasEnded(owner, Number(pid)) || isAbandoned(changedMs)
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await lstat(path)).size
  } catch {
    return 0
  }
}
