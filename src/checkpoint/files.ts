import { open, readdir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { formatBytes } from '../base/format.js'
import { FileError } from '../base/errors.js'

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

/** Whether a name from elsewhere is one of a file within a folder: neither a path nor a name with a meaning of its own. */
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

/** Opens a regular file for reading; anything else (a folder, a pipe that would block) is refused. */
export async function openFile(path: string): Promise<{ handle: FileHandle; bytes: number }> {
  return withPath(path, async () => {
    const info = await stat(path)
    if (info.isDirectory()) throw new FileError(`${path}: ${advice.EISDIR}`)
    if (!info.isFile()) throw new FileError(`${path}: this is not a regular file`)
    const handle = await open(path, 'r')
    try {
      return { handle, bytes: (await handle.stat()).size }
    } catch (error) {
      await handle.close()
      throw error
    }
  })
}

/** Reads exactly `length` bytes; `what` names them in the error if the file ends before or memory does not suffice. */
export async function readExactly(
  path: string,
  handle: FileHandle,
  position: number,
  length: number,
  what: string,
): Promise<Uint8Array> {
  const bytes = allocateBytes(path, length, what)
  await withPath(path, async () => {
    for (let done = 0; done < length;) {
      const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, pieceBytes), position + done)
      if (bytesRead === 0)
        throw new FileError(`${path}: the file ends within ${what}: it was cut off, copy or download it again`)
      done += bytesRead
    }
  })
  return bytes
}

/** Up to `length` first bytes of a file; undefined if there is no file that can be read. For detecting a format. */
export async function firstBytes(path: string, length: number): Promise<Uint8Array | undefined> {
  try {
    const { handle, bytes } = await openFile(path)
    try {
      return await readExactly(path, handle, 0, Math.min(length, bytes), 'its first bytes')
    } finally {
      await handle.close()
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
  const { handle, bytes } = await openFile(path)
  try {
    if (bytes > limit)
      throw new FileError(
        `${path}: it has ${formatBytes(bytes)}, more than the ${formatBytes(limit)} that such a file may have`,
      )
    return decodeUtf8(path, await readExactly(path, handle, 0, bytes, 'its text'), 'the file')
  } finally {
    await handle.close()
  }
}

export function decodeUtf8(path: string, bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new FileError(`${path}: ${what} is not UTF-8 text`, { cause: error })
  }
}

function allocateBytes(path: string, length: number, what: string): Uint8Array {
  try {
    return new Uint8Array(length)
  } catch (error) {
    throw new FileError(`${path}: ${what} has ${formatBytes(length)}, more than this machine can hold in one piece`, {
      cause: error,
    })
  }
}
