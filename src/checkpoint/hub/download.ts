import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { formatCount } from '../../base/format.js'
import { withPath, writeExactly } from '../files.js'
import type { HubResponse, Connection } from './connection.js'
import { HubError, TransientError } from './errors.js'
import type { RemoteFile } from './listing.js'
import { claimPartial, discardPartials, releasePartial } from './partial.js'

export interface DownloadOptions {
  readonly signal?: AbortSignal
  /** Called with the number of the file's bytes that have arrived, including earlier tries. */
  readonly onBytes: (bytes: number) => void
}

/**
 * Downloads a file of the model at a commit to the path `blob`, whose folder must exist. The file appears there only
 * when it is complete and has the right checksum. If the download is interrupted, the next one resumes from the
 * received bytes.
 */
export async function downloadBlob(
  connection: Connection,
  commit: string,
  file: RemoteFile,
  blob: string,
  { signal, onBytes }: DownloadOptions,
): Promise<void> {
  const { repo } = connection.model
  const url = connection.urlOf(commit, file.name)
  const path = await withPath(blob, () => claimPartial(blob))
  try {
    const partial = await PartialBlob.open(path, file, signal)
    try {
      onBytes(partial.bytes)
      await connection.withRetries(
        () => fetchRest(connection, url, file, partial, onBytes),
        () => partial.bytes,
      )
      await partial.finish(`${repo}: ${file.name}`)
    } finally {
      await partial.close()
    }
    await withPath(blob, async () => {
      await rename(path, blob)
      await discardPartials(blob)
    })
  } catch (error) {
    if (error instanceof WrongContent) await rm(path, { force: true })
    else await releasePartial(path, blob)
    if (!(error instanceof TransientError)) throw error
    throw new TransientError(
      `${repo}: ${error.message}: the downloaded part of ${file.name} is kept, run the same again to resume from it`,
      error.retryAfter,
      { cause: error },
    )
  }
}

async function fetchRest(
  connection: Connection,
  url: string,
  file: RemoteFile,
  partial: PartialBlob,
  onBytes: (bytes: number) => void,
): Promise<void> {
  if (partial.bytes === file.size) return
  const answer = await connection.get(url, partial.bytes > 0 ? { range: `bytes=${partial.bytes}-` } : {})
  try {
    checkContentName(connection, file, answer)
    if (answer.status === 200)
      await partial.restart() // the server sent the whole file instead of the range
    else if (!continues(answer, partial.bytes, file.size)) {
      await partial.restart()
      throw new TransientError(`the server of ${file.name} cannot resume the download`)
    }
    for await (const chunk of answer.chunks()) {
      if (partial.bytes + chunk.byteLength > file.size)
        throw new WrongContent(
          `${connection.model.repo}: ${file.name} is longer than the ${formatCount(file.size)} bytes that the hub lists, and was deleted: try again`,
        )
      await partial.append(chunk)
      onBytes(partial.bytes)
    }
  } finally {
    await answer.close()
  }
  if (partial.bytes < file.size)
    throw new TransientError(
      `${file.name} ended after ${formatCount(partial.bytes)} of ${formatCount(file.size)} bytes`,
    )
}

/** Throws if the file's content has changed since it was listed, so that parts of two files are never joined. */
function checkContentName({ model: { repo } }: Connection, file: RemoteFile, answer: HubResponse): void {
  if (answer.contentName === undefined || answer.contentName === file.etag) return
  throw new WrongContent(
    `${repo}: the hub sends another ${file.name} than it lists (${answer.contentName} instead of ${file.etag}): the downloaded part was deleted, try again`,
  )
}

/** Whether a partial response is the rest of the file: `Content-Range: bytes FIRST-LAST/SIZE`. */
function continues(answer: HubResponse, from: number, size: number): boolean {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer.headers.get('content-range') ?? '')
  return answer.status === 206 && match !== null && Number(match[1]) === from && Number(match[2]) === size
}

/** The error for a file whose content is not what the hub lists. All of it is discarded. */
class WrongContent extends HubError {}

/** The part of a file that was downloaded so far, and its checksum. */
class PartialBlob {
  bytes = 0
  private hash: Hash

  private constructor(
    private readonly path: string,
    private readonly file: RemoteFile,
    private readonly handle: FileHandle,
  ) {
    this.hash = newHash(file)
  }

  /** Opens the file, and computes the checksum of the bytes that it holds already. */
  static async open(path: string, file: RemoteFile, signal?: AbortSignal): Promise<PartialBlob> {
    return withPath(path, async () => {
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT)
      const partial = new PartialBlob(path, file, handle)
      try {
        for await (const chunk of handle.createReadStream({
          start: 0,
          autoClose: false,
          highWaterMark: 2 ** 20,
        }) as AsyncIterable<Uint8Array>) {
          signal?.throwIfAborted()
          partial.add(chunk)
        }
        return partial
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async restart(): Promise<void> {
    await withPath(this.path, () => this.handle.truncate(0))
    this.bytes = 0
    this.hash = newHash(this.file)
  }

  async append(chunk: Uint8Array): Promise<void> {
    await withPath(this.path, () => writeExactly(this.handle, chunk, this.bytes))
    this.add(chunk)
  }

  /** Checks the whole file and flushes it to the disk. */
  async finish(name: string): Promise<void> {
    const digest = this.hash.digest('hex')
    if (digest !== this.file.etag)
      throw new WrongContent(
        `${name} has the checksum ${digest} instead of ${this.file.etag}: it was damaged on the way, and was deleted: try again`,
      )
    await withPath(this.path, () => this.handle.sync())
  }

  async close(): Promise<void> {
    await this.handle.close()
  }

  private add(chunk: Uint8Array): void {
    this.hash.update(chunk)
    this.bytes += chunk.byteLength
  }
}

/** Large files are identified by their sha256, others by git's blob id: the sha1 of a header and the content. */
function newHash({ etag, size }: RemoteFile): Hash {
  return etag.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`)
}
