import { FileError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'

/**
 * Bytes that can be read at any place. Checkpoint readers work on this, so that the bytes may be in a file on disk
 * (`openFile` in files.ts), in memory, in a Blob, or behind a URL (url-source.ts).
 */
export interface ByteSource {
  /** A name for error messages: the file's path, its URL. */
  readonly path: string
  /** In bytes. */
  readonly size: number
  /**
   * The `length` bytes from `offset` on, in memory that the caller may keep; fewer only if the source ends before.
   * Reads may overlap in time.
   */
  read(offset: number, length: number): Promise<Uint8Array>
  /** Frees what the source holds open. No reads follow. */
  close?(): Promise<void>
}

/** Bytes in memory. What is read is copied: tensors do not change with the bytes. */
export function memorySource(bytes: Uint8Array | ArrayBuffer, path = 'bytes in memory'): ByteSource {
  // Never a Node Buffer: its `slice` does not copy.
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
    // What JavaScript throws if it cannot allocate an array of that length.
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

/** Text in UTF-8. Throws a FileError that calls it `what` if it is something else. */
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
