import { FileError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'

/**
 * Bytes with random access: the input of all checkpoint readers. The bytes may be in a file on disk (`openFile` in
 * files.ts), in memory, in a Blob, or behind a URL (url-source.ts).
 */
export interface ByteSource {
  /** A name for error messages: the file's path, its URL. */
  readonly path: string
  /** In bytes. */
  readonly size: number
  /**
   * Reads `length` bytes at `offset`, or fewer if the source ends before. The caller owns the returned memory. Reads
   * may run concurrently.
   */
  read(offset: number, length: number): Promise<Uint8Array>
  /** Closes the file or connection of the source. The source cannot be read afterwards. */
  close?(): Promise<void>
  /** The file on disk that the bytes are in, if they are in one. */
  readonly file?: DiskFile
  /** The file behind a network that the bytes are in, if they are in one: for reads that are not kept on disk. */
  readonly remote?: RemoteBytes
}

/** A file behind a network. A read is a request. */
export interface RemoteBytes {
  /** A name for error messages. */
  readonly path: string
  /** Fills `bytes` from `offset` on. */
  readInto(offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void>
}

/** A file on disk that was opened, for those who read it again by its path. */
export interface DiskFile {
  /** Absolute. */
  readonly path: string
  /** Throws a FileError unless the path is still the file that was opened, with the bytes it had then. */
  check(): Promise<void>
  /** Opens it once more. */
  open(): Promise<OpenFile>
}

/** An open file on disk: a source whose `close` is always defined, and that can read into memory of the caller. */
export interface OpenFile extends ByteSource {
  /** Fills `bytes` from `offset` on. Returns how many bytes were read: fewer only if the file ends before. */
  readInto(offset: number, bytes: Uint8Array): Promise<number>
  close(): Promise<void>
}

/** A source of bytes in memory. Reads return copies, so that tensors do not change when the bytes do. */
export function memorySource(bytes: Uint8Array | ArrayBuffer, path = 'bytes in memory'): ByteSource {
  // Converted to a plain Uint8Array, because the `slice` of a Node Buffer does not copy.
  const all =
    bytes instanceof Uint8Array ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : new Uint8Array(bytes)
  return { path, size: all.length, read: async (offset, length) => all.slice(offset, offset + length) }
}

/** A Blob, such as a File that a user has chosen in a page. Only what is read is loaded into memory. */
export function blobSource(blob: Blob, path = nameOf(blob)): ByteSource {
  return {
    path,
    size: blob.size,
    read: async (offset, length) => {
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer())
      } catch (error) {
        throw new FileError(`${path}: cannot be read: ${(error as Error).message}`, { cause: error })
      }
    },
  }
}

const nameOf = (blob: Blob): string => ('name' in blob && typeof blob.name === 'string' ? blob.name : 'a Blob')

/**
 * Reads exactly `length` bytes. Throws a FileError if the source ends before that, or if memory does not suffice;
 * `what` names the bytes in its message.
 */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
  what: string,
): Promise<Uint8Array> {
  const bytes = await source.read(offset, length).catch((error: unknown) => {
    // JavaScript throws a RangeError if it cannot allocate an array of that length.
    if (!(error instanceof RangeError)) throw error
    throw new FileError(
      `${source.path}: ${what} has ${formatBytes(length)}, more than this machine can hold in one piece`,
      { cause: error },
    )
  })
  if (bytes.length !== length)
    throw new FileError(`${source.path}: the file ends within ${what}: it was cut off, copy or download it again`)
  return bytes
}

/** Decodes UTF-8 text. Throws a FileError for other bytes, which the message calls `what`. */
export function decodeUtf8(path: string, bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new FileError(`${path}: ${what} is not UTF-8 text`, { cause: error })
  }
}

/** Whether two arrays hold the same bytes. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i])
