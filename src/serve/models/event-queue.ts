/** Events that are pushed as they come, and read one after another. */
export class EventQueue<T> implements AsyncIterable<T> {
  private events: T[] = []
  private ending: { readonly error?: unknown } | null = null
  private wake: () => void = () => undefined

  push(event: T): void {
    this.events.push(event)
    this.wake()
  }

  /** The reader's loop ends after the events that were pushed. */
  end(): void {
    this.ending ??= {}
    this.wake()
  }

  /** The reader's loop throws the error after the events that were pushed. */
  fail(error: unknown): void {
    this.ending ??= { error }
    this.wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      if (this.events.length === 0 && this.ending === null)
        await new Promise<void>(resolve => {
          this.wake = resolve
        })
      const events = this.events
      this.events = []
      yield* events
      if (this.events.length > 0 || this.ending === null) continue
      if ('error' in this.ending) throw this.ending.error
      return
    }
  }
}
