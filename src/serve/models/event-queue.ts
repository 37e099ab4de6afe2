import { News } from '../../infer/news.js'

/** Events that are pushed as they come, and read one after another. */
export class EventQueue<T> implements AsyncIterable<T> {
  private events: T[] = []
  /** How many events of the last reading are still to be read. */
  private taken = 0
  private ending: { readonly error?: unknown } | null = null
  private readonly news = new News()

  /** Adds an event. Returns how many the reader has not taken. */
  push(event: T): number {
    this.news.tell()
    return this.events.push(event) + this.taken
  }

  /** The reader's loop ends after the events that were pushed. */
  end(): void {
    this.ending ??= {}
    this.news.tell()
  }

  /** The reader's loop throws the error after the events that were pushed. */
  fail(error: unknown): void {
    this.ending ??= { error }
    this.news.tell()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      if (this.events.length === 0 && this.ending === null) await this.news.next()
      const { events } = this
      this.events = []
      this.taken = events.length
      for (const event of events) {
        this.taken--
        yield event
      }
      if (this.events.length > 0 || this.ending === null) continue
      if ('error' in this.ending) throw this.ending.error
      return
    }
  }
}
