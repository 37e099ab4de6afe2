import { check, FileError } from '../../base/errors.js'
import { expertName } from './source.js'
import type { ExpertStack } from './source.js'

/** The reads of a source: none begins after the source was closed, and closing waits for those in progress. */
export class Reads {
  private readonly running = new Set<Promise<void>>()
  private isClosed = false

  constructor(
    private readonly name: string,
    private readonly stacks: readonly ExpertStack[],
  ) {}

  /** Runs a read of a page. Throws a ShapeError if the stack, the expert or the page's size is wrong. */
  async run(stack: number, expert: number, page: Uint8Array, read: () => Promise<void>): Promise<void> {
    checkPage(this.stacks, stack, expert, page)
    if (this.isClosed) throw closedSource(this.name, this.stacks[stack], expert)
    const reading = read()
    this.running.add(reading)
    try {
      await reading
    } finally {
      this.running.delete(reading)
    }
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
