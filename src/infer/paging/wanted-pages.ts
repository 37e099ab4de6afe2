import { News } from '../news.js'
import type { Slot } from './page-memory.js'

/** The pages that one fetch waits for, in the order in which they arrive. */
export class WantedPages {
  /** Slots that have arrived and were not given yet. */
  readonly arrived: Slot[] = []
  private readonly news = new News()
  private failure: { readonly error: unknown } | undefined

  arrive(slot: Slot): void {
    this.arrived.push(slot)
    this.news.tell()
  }

  /** Lets `next` throw. The first error counts. */
  fail(error: unknown): void {
    this.failure ??= { error }
    this.news.tell()
  }

  /** The next slot, as soon as there is one. */
  async next(): Promise<Slot> {
    for (;;) {
      if (this.failure) throw this.failure.error
      const slot = this.arrived.shift()
      if (slot) return slot
      await this.news.next()
    }
  }
}
