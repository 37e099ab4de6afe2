import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode, systemAdvice } from '../../base/system-errors.js'
import { noticeWork } from '../long-work.js'
import { cacheFolder } from '../sources/cache.js'
import { DamagedTokens, openTokenFile, TokenFileWriter } from './token-file.js'
import type { TokenFileFacts } from './token-file.js'

/**
 * The cache holds at most this many bytes: the tokens of a billion words and more, which take an hour to encode, and a
 * small part of a disk. When it has more, the least recently used entries are removed; the newest always stays.
 */
export const MAX_CACHE_BYTES = 8 * 2 ** 30

/** An unfinished file this old belongs to a process that was killed. */
const ABANDONED_AFTER_MS = 24 * 3600 * 1000

const UNFINISHED = '.part'

/** Where the entries are. */
export const tokenFolder = (): string => join(cacheFolder(), 'tokens')

/** Thrown if an entry cannot be written. Errors of the data that it is made of are other errors. */
export class CacheFailure extends Error {}

/** An entry that is being written. Its methods throw a `CacheFailure`. */
export interface NewEntry {
  add(example: readonly Int32Array[]): void
  /** Puts the entry in its place, under `name`, and opens it. Another process may do the same at the same time. */
  finish(name: string, facts: TokenFileFacts): ReturnType<typeof openTokenFile>
  abandon(): void
}

/**
 * Opens an entry, and marks it as used now. Undefined if there is none. One that is damaged is removed. That, and
 * a file that cannot be read, is said.
 * The checksums of the whole entry are compared.
 */
export function openEntry(name: string): ReturnType<typeof openTokenFile> | undefined {
  const path = join(tokenFolder(), name)
  try {
    const opened = openTokenFile(path)
    // Only the order of removal depends on this time: a folder that cannot be written can still be read.
    const now = new Date()
    attempt(() => utimesSync(path, now, now))
    return opened
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
    const isDamaged = error instanceof DamagedTokens || error instanceof SyntaxError
    const what = isDamaged ? `is damaged (${error.message})` : `cannot be read (${systemAdvice(error as Error)})`
    noticeWork(`${path}: this file of encoded data ${what}; the data is encoded again`)
    if (isDamaged) removeEntry(name)
    return undefined
  }
}

export const removeEntry = (name: string): void => attempt(() => rmSync(join(tokenFolder(), name), { force: true }))

/**
 * Begins an entry. It appears by a rename when it is finished, so that it is never seen half-written. Throws a
 * `CacheFailure` if the cache cannot be written.
 */
export function beginEntry(maxBytes = MAX_CACHE_BYTES): NewEntry {
  const folder = tokenFolder()
  const unfinished = join(folder, `${randomUUID()}${UNFINISHED}`)
  const writer = inCache(unfinished, () => {
    mkdirSync(folder, { recursive: true })
    return new TokenFileWriter(unfinished)
  })
  return {
    add: example => inCache(unfinished, () => writer.add(example)),
    finish(name, facts) {
      const path = join(folder, name)
      return inCache(path, () => {
        writer.finish(facts)
        renameSync(unfinished, path)
        evict(folder, name, maxBytes)
        return openTokenFile(path)
      })
    },
    abandon() {
      attempt(() => writer.close())
      attempt(() => rmSync(unfinished, { force: true }))
    },
  }
}

/** Removes the least recently used entries until the rest fits, and files that killed processes have left. */
function evict(folder: string, newest: string, maxBytes: number): void {
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

/** Runs work on a file of the cache. An error becomes a `CacheFailure`. */
function inCache<T>(path: string, body: () => T): T {
  try {
    return body()
  } catch (error) {
    const isDamaged = error instanceof DamagedTokens || error instanceof SyntaxError
    throw new CacheFailure(
      isDamaged ? `${path} is not what was written (${error.message})` : systemAdvice(error as Error),
      { cause: error },
    )
  }
}

/** Runs what may fail without consequences. */
function attempt(body: () => void): void {
  try {
    body()
  } catch {
    // The next process tries again.
  }
}

/** Says that the cache cannot be written, and why. */
export const noticeNoCache = ({ message }: CacheFailure): void =>
  noticeWork(
    `${tokenFolder()}: the encoded data cannot be kept for the next run: ${message}. SWITCHYARD_CACHE=FOLDER sets another folder`,
  )
