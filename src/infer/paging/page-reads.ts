import { FileError } from '../../base/errors.js'
import { errorCode } from '../../base/system-errors.js'
import { expertName } from '../../checkpoint/experts/source.js'
import type { ExpertSource } from '../../checkpoint/experts/source.js'

/** How often a page is read before its error is final. A disk or a network that fails for a moment is asked again. */
const READ_TRIES = 3

/** Milliseconds before the second try; twice as many before the third. */
const RETRY_AFTER = 20

/**
 * Reads an expert into `page`. A short or failing read is tried again. Throws a FileError that names the file, the
 * layer and the expert after the last try, or the signal's reason as soon as it is aborted. Any other error is a bug,
 * and is thrown at once.
 */
export async function readPage(
  source: ExpertSource,
  stack: number,
  expert: number,
  page: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted()
    try {
      return await source.read(stack, expert, page, signal)
    } catch (error) {
      if (signal.aborted || !(error instanceof FileError || errorCode(error) !== undefined)) throw error
      if (tries === READ_TRIES) throw finalError(source, stack, expert, error as Error)
      await new Promise(resolve => setTimeout(resolve, tries * RETRY_AFTER))
    }
  }
}

/** The messages of a source name the file, the layer and the expert; those of an operating system do not. */
function finalError({ name, stacks }: ExpertSource, stack: number, expert: number, cause: Error): FileError {
  const where = cause instanceof FileError ? '' : `${name}: ${expertName(stacks[stack], expert)} cannot be read: `
  return new FileError(`${where}${cause.message} (read ${READ_TRIES} times)`, { cause })
}
