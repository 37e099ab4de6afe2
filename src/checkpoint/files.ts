import type { BigIntStats } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { resolve } from 'node:path'
import { FileError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'
import { advice, errorCode, withPath } from '../base/system-errors.js'
import { decodeUtf8, readExactly } from './byte-source.js'
import type { ByteSource, OpenFile } from './byte-source.js'

/**
 * The size of one read or write. A system call transfers at most 2 GiB; smaller pieces let other tasks run in between.
 */
const pieceBytes = 256 * 2 ** 20

export { errorCode, systemAdvice, withPath } from '../base/system-errors.js'

/** Whether the path is an existing regular file. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

/**
 * Whether an untrusted name is safe as the name of a file in a folder: not a path, and not a special name such as `..`.
 */
export const isPlainName = (name: string): boolean =>
  !['', '.', '..'].includes(name) && !/[/\\:\p{Cc}]/u.test(name) && name.length <= 255

/** The names of a folder's entries; an empty list if the folder does not exist. */
export async function namesIn(folder: string): Promise<string[]> {
  return withPath(folder, async () => {
    try {
      return await readdir(folder)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  })
}

/** Opens a regular file for reading. Anything else (a folder, a pipe that would block) is a FileError. */
export async function openFile(path: string): Promise<OpenFile> {
  return withPath(path, async () => {
    const info = await stat(path)
    if (info.isDirectory()) throw new FileError(`${path}: ${advice.EISDIR}`)
    if (!info.isFile()) throw new FileError(`${path}: this is not a regular file`)
    const handle = await open(path, 'r')
    try {
      return fileSource(path, handle, await handle.stat({ bigint: true }))
    } catch (error) {
      await handle.close()
      throw error
    }
  })
}

/** Opens a file and creates a reader, whose `close` closes the file. If `read` fails, the file is closed here. */
export async function openFrom<R>(path: string, read: (source: ByteSource) => Promise<R>): Promise<R> {
  const file = await openFile(path)
  try {
    return await read(file)
  } catch (error) {
    await file.close()
    throw error
  }
}

/** What a file keeps while nobody writes to it. */
const identity = ['dev', 'ino', 'size', 'mtimeNs'] as const

/** A source of an open file. Each read goes directly into the array that it returns. */
function fileSource(path: string, handle: FileHandle, info: BigIntStats): OpenFile {
  const readInto = (offset: number, bytes: Uint8Array): Promise<number> =>
    withPath(path, () => fillFrom(handle, bytes, offset))
  return {
    path,
    size: Number(info.size),
    file: {
      path: resolve(path),
      check: async () => {
        const now = await withPath(path, () => stat(path, { bigint: true }))
        if (!identity.every(key => now[key] === info[key]))
          throw new FileError(`${path}: the file has changed since it was opened: load it again`)
      },
      open: () => openFile(path),
    },
    read: async (offset, length) => {
      const bytes = new Uint8Array(length)
      const done = await readInto(offset, bytes)
      return done < length ? bytes.subarray(0, done) : bytes
    },
    readInto,
    close: () => handle.close(),
  }
}

/** Reads from a position of a file until the array is full or the file ends. Returns the number of bytes read. */
export async function fillFrom(handle: FileHandle, into: Uint8Array, position: number): Promise<number> {
  let done = 0
  while (done < into.byteLength) {
    const length = Math.min(into.byteLength - done, pieceBytes)
    const { bytesRead } = await handle.read(into, done, length, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

/** The first `length` bytes of a file, fewer if it is shorter, to detect its format. undefined if it cannot be read. */
export async function firstBytes(path: string, length: number): Promise<Uint8Array | undefined> {
  try {
    const file = await openFile(path)
    try {
      return await readExactly(file, 0, Math.min(length, file.size), 'its first bytes')
    } finally {
      await file.close()
    }
  } catch {
    return undefined
  }
}

export const writeExactly = (handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> =>
  writeConcatenated(handle, [bytes], position)

/** Writes byte arrays one after the other, from a position on. */
export async function writeConcatenated(
  handle: FileHandle,
  parts: readonly Uint8Array[],
  position: number,
): Promise<void> {
  for (let rest = cut(parts), at = position; rest.length > 0;) {
    let size = 0
    const some = rest.filter(({ byteLength }) => (size += byteLength) <= pieceBytes)
    const { bytesWritten } = await handle.writev(some, at)
    at += bytesWritten
    rest = skip(rest, bytesWritten)
  }
}

/** The same bytes in arrays of at most `pieceBytes`. */
const cut = (parts: readonly Uint8Array[]): Uint8Array[] =>
  parts.flatMap(part => {
    const pieces = []
    for (let i = 0; i < part.byteLength; i += pieceBytes) pieces.push(part.subarray(i, i + pieceBytes))
    return pieces
  })

/** The arrays without their first bytes. */
function skip(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  return parts.flatMap(part => {
    const skipped = Math.min(left, part.byteLength)
    left -= skipped
    return skipped < part.byteLength ? [part.subarray(skipped)] : []
  })
}

/** Reads a small text file. Throws a FileError, without reading, if it has more than `limit` bytes. */
export async function readSmallText(path: string, limit: number): Promise<string> {
  const file = await openFile(path)
  try {
    if (file.size > limit)
      throw new FileError(
        `${path}: it has ${formatBytes(file.size)}, more than the ${formatBytes(limit)} that such a file may have`,
      )
    return decodeUtf8(path, await readExactly(file, 0, file.size, 'its text'), 'the file')
  } finally {
    await file.close()
  }
}
