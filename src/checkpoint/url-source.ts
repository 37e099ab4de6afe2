import { FileError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { memorySource } from './byte-source.js'
import type { ByteSource } from './byte-source.js'

export interface UrlOptions {
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>
  /** Aborts all requests. */
  signal?: AbortSignal
}

/**
 * A file behind a URL, read by HTTP range requests: only what is read is transferred. A server that ignores ranges
 * sends the whole file at once, which is then kept in memory. A file that changes between two reads is a FileError.
 */
export async function urlSource(url: string | URL, { headers = {}, signal }: UrlOptions = {}): Promise<ByteSource> {
  const path = String(url)
  const request = async (range: string): Promise<Response> => {
    const response = await fetch(url, { headers: { ...headers, Range: `bytes=${range}` }, signal }).catch(
      (cause: unknown) => {
        signal?.throwIfAborted()
        throw new FileError(`${path}: cannot be read: ${(cause as Error).message}`, { cause })
      },
    )
    if (response.ok || response.status === 416) return response
    throw new FileError(`${path}: cannot be read: the server answers ${response.status} ${response.statusText}`)
  }
  const bytesOf = async (response: Response): Promise<Uint8Array> => {
    try {
      return new Uint8Array(await response.arrayBuffer())
    } catch (cause) {
      signal?.throwIfAborted()
      throw new FileError(`${path}: the transfer broke off: ${(cause as Error).message}`, { cause })
    }
  }

  const first = await request('0-0')
  if (first.status === 200) return memorySource(await bytesOf(first), path)
  // The answer to a range of an empty file.
  if (first.status === 416) return memorySource(new Uint8Array(), path)
  const { size, version } = rangeOf(path, first)
  await first.body?.cancel()
  return {
    path,
    size,
    read: async (offset, length) => {
      const end = Math.min(offset + length, size)
      if (offset >= end) return new Uint8Array()
      const response = await request(`${offset}-${end - 1}`)
      const range = rangeOf(path, response)
      if (range.size !== size || range.version !== version)
        throw new FileError(`${path}: the file was changed while it was read: open it again`)
      if (range.begin !== offset || range.end !== end - 1)
        throw new FileError(
          `${path}: the server sent bytes ${formatCount(range.begin)} to ${formatCount(range.end)} instead of ${formatCount(offset)} to ${formatCount(end - 1)}`,
        )
      return bytesOf(response)
    },
  }
}

/** Which bytes a response holds, of how many, and of which version of the file. */
function rangeOf(path: string, response: Response): { begin: number; end: number; size: number; version: string } {
  const header = response.headers.get('content-range')
  const match = response.status === 206 && /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header ?? '')
  if (!match)
    throw new FileError(
      `${path}: the server does not say which bytes it sends. If it is another site's, it must list Content-Range in Access-Control-Expose-Headers; otherwise download the file, and use blobSource`,
    )
  const [begin, end, size] = match.slice(1).map(Number)
  return { begin, end, size, version: response.headers.get('etag') ?? response.headers.get('last-modified') ?? '' }
}
