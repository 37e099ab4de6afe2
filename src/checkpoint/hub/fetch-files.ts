import { statfs } from 'node:fs/promises'
import { FileError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import { withPath } from '../files.js'
import type { ModelCache } from './cache.js'
import type { Connection } from './connection.js'
import { downloadBlob } from './download.js'
import type { RemoteFile } from './listing.js'
import { partialBytes } from './partial.js'

/** The progress of fetching a model. A resumed download starts at the bytes that it has already. */
export interface FetchProgress {
  readonly file: string
  /** The size of this file in bytes. */
  readonly bytes: number
  readonly totalBytes: number
  /** The total of all files to fetch, in bytes. An index of shards is fetched alone, before the shards are known. */
  readonly allBytes: number
  readonly allTotalBytes: number
}

interface FilesOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: FetchProgress) => void
}

/** Fetches files into the snapshot of a commit, except those that the cache holds already. */
export async function fetchFiles(
  connection: Connection,
  cache: ModelCache,
  commit: string,
  files: readonly RemoteFile[],
  { signal, onProgress }: FilesOptions,
): Promise<void> {
  const folder = await cache.makeBlobs()
  const absent: RemoteFile[] = []
  for (const file of files) {
    if ((await cache.sizeOf(commit, file.name)) === file.size) continue
    if ((await cache.blobSize(file.etag)) === file.size) await cache.link(commit, file.name, file.etag)
    else absent.push(file)
  }
  await checkSpace(folder, cache, absent)
  const allTotalBytes = sum(absent.map(file => file.size))
  let before = 0
  for (const file of absent) {
    const onBytes = (bytes: number): void =>
      onProgress?.({ file: file.name, bytes, totalBytes: file.size, allBytes: before + bytes, allTotalBytes })
    await downloadBlob(connection, commit, file, cache.blob(file.etag), { signal, onBytes })
    await cache.link(commit, file.name, file.etag)
    before += file.size
  }
}

/** Throws a FileError if the disk has too little space, before the download begins. */
async function checkSpace(folder: string, cache: ModelCache, files: readonly RemoteFile[]): Promise<void> {
  const needed =
    sum(files.map(file => file.size)) - sum(await Promise.all(files.map(file => partialBytes(cache.blob(file.etag)))))
  const { bavail, bsize } = await withPath(folder, () => statfs(folder))
  if (needed <= bavail * bsize) return
  throw new FileError(
    `${folder}: ${formatBytes(needed)} are to be downloaded, and this disk has ${formatBytes(bavail * bsize)} free: free some space, or set HF_HUB_CACHE to a folder on another disk`,
  )
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
