import { FileError } from './errors.js'

/** What to do about the common errors of an operating system, by their codes. */
export const advice: Readonly<Record<string, string>> = {
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

/**
 * What an operating system error means and what to do about it, for common errors; otherwise the error's own message.
 */
export const systemAdvice = (error: Error): string => advice[errorCode(error) ?? ''] ?? error.message

export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** Whether an error says, itself or by its cause, that a file, a folder or a package does not exist. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && (['ENOENT', 'MODULE_NOT_FOUND'].includes(errorCode(error) ?? '') || isMissing(error.cause))

/** Runs `body`. Turns an operating system error into a FileError that names the path and says what to do. */
export async function withPath<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    const code = errorCode(error)
    if (error instanceof FileError || code === undefined) throw error
    throw new FileError(`${path}: ${advice[code] ?? (error as Error).message}`, { cause: error })
  }
}
