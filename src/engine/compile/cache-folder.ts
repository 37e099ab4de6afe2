import { readdirSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * The folder for copies of data that can be made again: SWITCHYARD_CACHE, or `switchyard` in the user's cache folder
 * (XDG_CACHE_HOME, by default ~/.cache). It may be deleted at any time.
 */
export const cacheFolder = (env: NodeJS.ProcessEnv = process.env): string =>
  env.SWITCHYARD_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'switchyard')

/** How the name of an unfinished file ends. */
export const UNFINISHED = '.part'

/** An unfinished file this old belongs to a process that was killed. */
const ABANDONED_AFTER_MS = 24 * 3600 * 1000

/** Removes the least recently used entries until the rest fits, and files that killed processes have left. */
export function evict(folder: string, newest: string, maxBytes: number): void {
  const entries: { path: string; size: number; usedMs: number }[] = []
  let total = 0
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    // Another process may have removed it.
    const info = statSync(path, { throwIfNoEntry: false })
    if (!info?.isFile()) continue
    if (name.endsWith(UNFINISHED)) {
      if (Date.now() - info.mtimeMs > ABANDONED_AFTER_MS) attempt(() => rmSync(path, { force: true }))
      continue
    }
    total += info.size
    if (name !== newest) entries.push({ path, size: info.size, usedMs: info.mtimeMs })
  }
  entries.sort((a, b) => a.usedMs - b.usedMs)
  for (const { path, size } of entries) {
    if (total <= maxBytes) return
    attempt(() => rmSync(path, { force: true }))
    total -= size
  }
}

/** Runs what may fail without consequences: the next process tries again. */
export function attempt(body: () => void): void {
  try {
    body()
  } catch {
    // Only the cache is worse for it.
  }
}
