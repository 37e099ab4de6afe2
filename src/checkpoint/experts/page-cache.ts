import { open, readdir, rm, stat, utimes } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { crc32 } from 'node:zlib'
import { FileError } from '../../base/errors.js'
import { lazyPromise } from '../../base/promise-cache.js'
import { writeFileAtomically } from '../atomic.js'
import { errorCode, fillFrom, withPath, writeConcatenated } from '../files.js'

/** Bytes after a page in its file: the CRC-32 of the page, the least significant byte first. */
const CHECKSUM_BYTES = 4

/** How full the cache is after an eviction: deleting some files at once costs one listing of the folder for all. */
const FILLED_AFTER = 0.9

/** The folder is listed anew after this part of the limit was written, to see what other processes have written. */
const LISTED_AFTER = 0.05

/** The time of a file's last use on disk is brought up to date at most this often, in milliseconds. */
const TOUCH_MS = 60_000

interface CachedPage {
  /** Bytes on disk. */
  readonly bytes: number
  /** In milliseconds since 1970. */
  usedAt: number
}

/** Where pages are kept by name. */
export interface PageStore {
  /** Reads a page into memory of its size. Returns false if the store does not have it. */
  read(name: string, into: Uint8Array): Promise<boolean>
  /** Stores a page, if there is room for it. */
  write(name: string, page: Uint8Array): Promise<void>
}

export interface PageCacheOptions {
  /**
   * Receives a message if the folder cannot be written, as one that users share; from then on no page is stored.
   * Default: that is an error.
   */
  readonly onUnwritable?: (message: string) => void
  /** A folder whose pages are deleted after all others, and never for the sake of others. Default: none. */
  readonly keptLonger?: string
}

/**
 * Pages kept on disk, one file each (`NAME.page`: the page, then its checksum), up to a number of bytes. When the
 * cache is full, or the disk is, the pages that were not used for the longest time are deleted. A file appears under
 * its name only when it is complete, and several processes may share the folder: a page that another process has
 * deleted is a miss, and a damaged one is deleted and is a miss too.
 */
export class PageCache implements PageStore {
  /** The files in the folder, as far as this process knows. */
  private pages = lazyPromise(() => listPages(this.folder))
  private writtenSinceListing = 0
  /** Pages whose checksum was found right. Later reads of them do not compute it again. */
  private readonly verified = new Set<string>()
  private isWritable = true

  constructor(
    readonly folder: string,
    readonly maxBytes: number,
    private readonly options: PageCacheOptions = {},
  ) {}

  /** A folder of the cache, as a store of its own with the limit of all. */
  under(folder: string): PageStore {
    return {
      read: (name, into) => this.read(`${folder}/${name}`, into),
      write: (name, page) => this.write(`${folder}/${name}`, page),
    }
  }

  async read(name: string, into: Uint8Array): Promise<boolean> {
    const path = this.pathOf(name)
    const isRight = await withPath(path, async () => {
      const handle = await openIfThere(path)
      if (!handle) return null
      try {
        const checksum = new Uint8Array(CHECKSUM_BYTES)
        const isComplete =
          (await handle.stat()).size === into.byteLength + CHECKSUM_BYTES &&
          (await fillFrom(handle, into, 0)) === into.byteLength &&
          (await fillFrom(handle, checksum, into.byteLength)) === CHECKSUM_BYTES
        return isComplete && (this.verified.has(name) || readChecksum(checksum) === crc32(into))
      } finally {
        await handle.close()
      }
    })
    if (isRight) {
      this.verified.add(name)
      await this.touch(name)
    } else if (isRight === false) await this.delete(name)
    return isRight === true
  }

  /** Stores a page. A full disk is no error: what does not fit is not stored. */
  async write(name: string, page: Uint8Array): Promise<void> {
    if (!this.isWritable) return
    try {
      await this.store(name, page)
    } catch (error) {
      const { onUnwritable } = this.options
      if (!onUnwritable || !(error instanceof FileError)) throw error
      if (this.isWritable) onUnwritable(`${error.message}: what is read is not kept there`)
      this.isWritable = false
    }
  }

  private async store(name: string, page: Uint8Array): Promise<void> {
    const bytes = page.byteLength + CHECKSUM_BYTES
    if (bytes > this.maxBytes) return
    if (this.writtenSinceListing > LISTED_AFTER * this.maxBytes) await this.list()
    if (totalBytes(await this.pages()) + bytes > this.maxBytes) {
      await this.evict(this.maxBytes * FILLED_AFTER - bytes, name)
      if (totalBytes(await this.pages()) + bytes > this.maxBytes) return
    }
    const written = (await this.tryWrite(name, page)) || (await this.evictAndWrite(name, page))
    if (!written) return
    ;(await this.pages()).set(name, { bytes, usedAt: Date.now() })
    this.writtenSinceListing += bytes
    this.verified.add(name)
  }

  private async evictAndWrite(name: string, page: Uint8Array): Promise<boolean> {
    await this.list()
    await this.evict(totalBytes(await this.pages()) - 2 * page.byteLength, name)
    return this.tryWrite(name, page)
  }

  /** Returns false if the disk is full. */
  private async tryWrite(name: string, page: Uint8Array): Promise<boolean> {
    try {
      await writeFileAtomically(
        this.pathOf(name),
        handle => writeConcatenated(handle, [page, checksumOf(page)], 0),
        // A page that is lost when the machine stops is fetched or made again.
        { replace: true, isDurable: false },
      )
      return true
    } catch (error) {
      const codes = [errorCode(error), errorCode((error as Error).cause)]
      if (codes.includes('ENOSPC') || codes.includes('EDQUOT')) return false
      throw error
    }
  }

  private pathOf(name: string): string {
    return join(this.folder, `${name}.page`)
  }

  /** Lists the folder anew. */
  private async list(): Promise<void> {
    const before = await this.pages()
    const now = await listPages(this.folder)
    for (const [name, page] of now) page.usedAt = Math.max(page.usedAt, before.get(name)?.usedAt ?? 0)
    this.pages = () => Promise.resolve(now)
    this.writtenSinceListing = 0
  }

  /**
   * Deletes the pages that were not used for the longest time, until at most `bytes` are left, or only pages that stay
   * for longer than the page `forName`.
   */
  private async evict(bytes: number, forName: string): Promise<void> {
    const pages = await this.pages()
    const { keptLonger } = this.options
    const isLast = (name: string): boolean => keptLonger !== undefined && name.startsWith(`${keptLonger}/`)
    const order = [...pages].sort(
      ([a, { usedAt: first }], [b, { usedAt: second }]) => Number(isLast(a)) - Number(isLast(b)) || first - second,
    )
    let left = totalBytes(pages)
    for (const [name, page] of order) {
      if (left <= bytes || (isLast(name) && !isLast(forName))) return
      await this.delete(name)
      left -= page.bytes
    }
  }

  private async delete(name: string): Promise<void> {
    ;(await this.pages()).delete(name)
    this.verified.delete(name)
    await withPath(this.pathOf(name), () => rm(this.pathOf(name), { force: true }))
  }

  /** Notes that a page was used now, also on the disk, for other processes and later runs. */
  private async touch(name: string): Promise<void> {
    const now = Date.now()
    const page = (await this.pages()).get(name)
    if (!page || now - page.usedAt < TOUCH_MS) return
    page.usedAt = now
    // Another process may have deleted the file.
    await utimes(this.pathOf(name), now / 1000, now / 1000).catch(() => undefined)
  }
}

/** The bytes of all pages below a folder. */
export const bytesOfPages = async (folder: string): Promise<number> => totalBytes(await listPages(folder))

const totalBytes = (pages: ReadonlyMap<string, CachedPage>): number =>
  [...pages.values()].reduce((sum, { bytes }) => sum + bytes, 0)

/** The pages in a folder and its folders, by name. */
async function listPages(root: string): Promise<Map<string, CachedPage>> {
  const pages = new Map<string, CachedPage>()
  const names = await readdir(root, { recursive: true }).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  })
  for (const file of names) {
    if (!file.endsWith('.page')) continue
    const path = join(root, file)
    // Another process may delete files while they are listed.
    const info = await stat(path).catch(() => null)
    if (info?.isFile())
      pages.set(relative(root, path).slice(0, -'.page'.length), { bytes: info.size, usedAt: info.mtimeMs })
  }
  return pages
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

function checksumOf(page: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(CHECKSUM_BYTES)
  new DataView(bytes.buffer).setUint32(0, crc32(page), true)
  return bytes
}

const readChecksum = (bytes: Uint8Array): number => new DataView(bytes.buffer).getUint32(0, true)
