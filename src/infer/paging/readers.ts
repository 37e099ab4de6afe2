/** The error of a pass for which nobody waits any more. */
const allHaveLeft = new Error('every request of this pass has ended')

/**
 * The readers of one pass of a model: the requests that it serves. Each row of the pass, a token of the encoder or a
 * row of the decoder, belongs to one of them, and no row depends on another reader's. An expert that cannot be read
 * fails the readers whose rows met it. Experts that only failed readers want, or readers that have left, are not read.
 */
export class ExpertReaders<R = unknown> {
  /** Called when a reader has left or failed. Set by the pager. */
  onChange: () => void = () => undefined
  private readonly waiting: Set<R>
  private readonly failures = new Map<R, unknown>()

  constructor(
    readers: Iterable<R>,
    private readonly readerOf: (row: number) => R,
  ) {
    this.waiting = new Set(readers)
  }

  /** A reader does not wait for its results any more. */
  leave(reader: R): void {
    if (this.waiting.delete(reader)) this.onChange()
  }

  /** The error of the first expert of a reader that could not be read. */
  failureOf(reader: R): unknown {
    return this.failures.get(reader)
  }

  /** Whether a reader waits for its results: it has neither left nor failed. */
  waits(reader: R): boolean {
    return this.waiting.has(reader)
  }

  /** The readers of rows. */
  of(rows: Iterable<number>): Set<R> {
    return new Set(Array.from(rows, this.readerOf))
  }

  /** Whether one of these readers waits for its results. */
  anyWaits(readers: ReadonlySet<R>): boolean {
    return [...readers].some(reader => this.waiting.has(reader))
  }

  /** An expert that these readers need cannot be read. */
  fail(readers: ReadonlySet<R>, error: unknown): void {
    for (const reader of readers) if (this.waiting.delete(reader)) this.failures.set(reader, error)
    this.onChange()
  }

  /** Throws if no reader waits any more: the error of one that failed, if there is one. */
  throwIfNoneWaits(): void {
    if (this.waiting.size > 0) return
    const [failure] = this.failures.values()
    throw failure ?? allHaveLeft
  }
}
