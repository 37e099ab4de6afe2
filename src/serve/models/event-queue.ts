import { News } from '../../infer/news.js'

/** Events that are pushed as they come, and read one after another. */
export class EventQueue<T> implements AsyncIterable<T> {
  private events: T[] = []
  private ending: { readonly error?: unknown } | null = null
  private readonly news = new News()

  push(event: T): void {
    this.events.push(event)
    this.news.tell()
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
      const events = this.events
      this.events = []
      yield* events
      if (this.events.length > 0 || this.ending === null) continue
      if ('error' in this.ending) throw this.ending.error
      return
    }
  }
}
