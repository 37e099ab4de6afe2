import { randomUUID } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode, systemAdvice } from '../../base/system-errors.js'
import { noticeWork } from '../long-work.js'
import { attempt, cacheFolder, evict, UNFINISHED } from '../../engine/compile/cache-folder.js'
import { DamagedTokens, openTokenFile, TokenFileWriter } from './token-file.js'
import type { TokenFileFacts } from './token-file.js'

/**
 * The cache holds at most this many bytes: the tokens of a billion words and more, which take an hour to encode, and a
 * small part of a disk. When it has more, the least recently used entries are removed; the newest always stays.
 */
const MAX_CACHE_BYTES = 8 * 2 ** 30

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

/** Says that the cache cannot be written, and why. */
export const noticeNoCache = ({ message }: CacheFailure): void =>
  noticeWork(
    `${tokenFolder()}: the encoded data cannot be kept for the next run: ${message}. SWITCHYARD_CACHE=FOLDER sets another folder`,
  )
