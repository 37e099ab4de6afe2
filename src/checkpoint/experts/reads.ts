import { check, FileError, SwitchyardError } from '../../base/errors.js'
import { expertName } from './source.js'
import type { ExpertStack } from './source.js'

/** One read of an expert: the arguments of `ExpertSource.read`. */
export interface ExpertRead {
  readonly stack: number
  readonly expert: number
  readonly page: Uint8Array
  readonly signal?: AbortSignal
}

/**
 * The reads of a source: none begins after the source was closed, closing waits for those in progress, an abort ends
 * them with its reason, and their errors name the expert. A read is tried once: the pager tries it again after a
 * FileError, and a connection repeats its own requests.
 */
export class Reads {
  private readonly running = new Set<Promise<void>>()
  private isClosed = false

  constructor(
    private readonly name: string,
    private readonly stacks: readonly ExpertStack[],
  ) {}

  /** Runs a read of a page. Throws a ShapeError if the stack, the expert or the page's size is wrong. */
  async run({ stack, expert, page, signal }: ExpertRead, read: () => Promise<void>): Promise<void> {
    checkPage(this.stacks, stack, expert, page)
    if (this.isClosed) throw closedSource(this.name, this.stacks[stack], expert)
    signal?.throwIfAborted()
    const reading = read()
    this.running.add(reading)
    try {
      await reading
    } catch (error) {
      signal?.throwIfAborted()
      throw withExpert(error, expertName(this.stacks[stack], expert))
    } finally {
      this.running.delete(reading)
    }
    signal?.throwIfAborted()
  }

  /** Waits for the reads in progress, then runs `close`, the first time. */
  async close(close: () => Promise<void>): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    await Promise.allSettled(this.running)
    await close()
  }
}

/** Throws a ShapeError unless the stack and the expert exist and the page has their size. */
function checkPage(stacks: readonly ExpertStack[], stack: number, expert: number, page: Uint8Array): void {
  const found = stacks.at(stack)
  check(stack >= 0 && found !== undefined, () => `there is no stack ${stack}: the model has ${stacks.length}`)
  const { path, numExperts, bytes } = found
  check(expert >= 0 && expert < numExperts, () => `there is no expert ${expert} in ${path}: it has ${numExperts}`)
  check(page.byteLength === bytes, () => `a page of ${path} has ${bytes} bytes, not ${page.byteLength}`)
}

/** The error of a source that was asked for an expert after it was closed. */
const closedSource = (name: string, stack: ExpertStack, expert: number): FileError =>
  new FileError(`${name}: ${expertName(stack, expert)} cannot be read: the file has been closed`)

/** An error that a user can cause, with the name of the expert that was to be read; any other error as it is. */
function withExpert(error: unknown, name: string): unknown {
  if (!(error instanceof SwitchyardError) || error.message.includes(name)) return error
  const Kind = error instanceof FileError ? FileError : SwitchyardError
  return new Kind(`${error.message}; ${name} was to be read`, { cause: error })
}
