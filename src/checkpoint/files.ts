import { open, readdir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { FileError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'
import { decodeUtf8, readExactly } from './byte-source.js'
import type { ByteSource } from './byte-source.js'

/** One system call moves at most 2 GiB; smaller pieces let other work in between. */
const pieceBytes = 256 * 2 ** 20

const advice: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EISDIR: 'this is a folder, not a file',
  EEXIST: 'something is there already: choose another name, or remove it first',
  EACCES: 'permission denied: check who owns it',
  EPERM: 'permission denied: check who owns it',
  EROFS: 'the file system is read-only: choose another place',
  ENOSPC: 'the disk is full: free some space and try again',
  EDQUOT: 'the disk quota is used up: free some space and try again',
  EMFILE: 'too many files are open: close some checkpoints, or raise the limit (ulimit -n)',
  ENAMETOOLONG: 'the name is too long',
  EIO: 'the disk reports an error: the file may be lost, use another copy',
}

/** What an error of the operating system means and what to do about it; the error's own message if it is not a common one. */
export const systemAdvice = (error: Error): string => advice[errorCode(error) ?? ''] ?? error.message

export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** Runs `body`; what the operating system refuses becomes a FileError that names the path and says what to do. */
export async function withPath<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    const code = errorCode(error)
    if (error instanceof FileError || code === undefined) throw error
    throw new FileError(`${path}: ${advice[code] ?? (error as Error).message}`, { cause: error })
  }
}

/** Whether a regular file is there. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

/**
 * Whether a name from elsewhere is one of a file within a folder: neither a path nor a name with a meaning of its own.
 */
export const isPlainName = (name: string): boolean =>
  !['', '.', '..'].includes(name) && !/[/\\:\p{Cc}]/u.test(name) && name.length <= 255

/** The names in a folder; none if there is no such folder. */
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
      return fileSource(path, handle, (await handle.stat()).size)
    } catch (error) {
      await handle.close()
      throw error
    }
  })
}

/** Opens a file and makes a reader of it, which closes the file; if that fails, the file is closed here. */
export async function openFrom<R>(path: string, read: (source: ByteSource) => Promise<R>): Promise<R> {
  const file = await openFile(path)
  try {
    return await read(file)
  } catch (error) {
    await file.close()
    throw error
  }
}

/** A file on disk that is open: `close` is always there. */
export type OpenFile = ByteSource & Required<Pick<ByteSource, 'close'>>

/** Reads go straight into the memory that they return. */
const fileSource = (path: string, handle: FileHandle, size: number): OpenFile => ({
  path,
  size,
  read: async (offset, length) => {
    const bytes = new Uint8Array(length)
    let done = 0
    await withPath(path, async () => {
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, pieceBytes), offset + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
    })
    return done < length ? bytes.subarray(0, done) : bytes
  },
  close: () => handle.close(),
})

/** Up to `length` first bytes of a file; undefined if there is no file that can be read. For detecting a format. */
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

export async function writeExactly(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await handle.write(
      bytes,
      done,
      Math.min(bytes.byteLength - done, pieceBytes),
      position + done,
    )
    done += bytesWritten
  }
}

/** Reads a small text file whole; one past `limit` bytes is refused before it is read. */
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
