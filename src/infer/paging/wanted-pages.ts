import { News } from '../news.js'
import type { Slot } from './page-memory.js'
import type { ExpertReaders } from './readers.js'

/** A page that has arrived in a slot; null: it is left out. */
export interface Arrival {
  readonly page: number
  readonly slot: Slot | null
}

/** The pages that one fetch waits for, in the order in which they arrive. */
export class WantedPages {
  /** Pages that have arrived and were not given yet. */
  readonly arrived: Arrival[] = []
  private readonly news = new News()
  private failure: { readonly error: unknown } | undefined

  /** `readers`: all readers of the pass, and the readers that want each page. Default: the fetch has one reader. */
  constructor(
    private readonly readers?: {
      readonly all: ExpertReaders
      readonly ofPages: ReadonlyMap<number, ReadonlySet<unknown>>
    },
  ) {}

  /** Whether a reader waits for the page. */
  isWanted(page: number): boolean {
    return !this.readers || this.readers.all.anyWaits(this.readers.ofPages.get(page)!)
  }

  arrive(slot: Slot): void {
    this.arrived.push({ page: slot.page, slot })
    this.news.tell()
  }

  /** Gives the page without its data. */
  leaveOut(page: number): void {
    this.arrived.push({ page, slot: null })
    this.news.tell()
  }

  /** A page cannot be read: its readers fail. Without readers, the fetch ends with the error. */
  fail(page: number, error: unknown): void {
    if (!this.readers) return this.end(error)
    this.leaveOut(page)
    this.readers.all.fail(this.readers.ofPages.get(page)!, error)
  }

  /** Lets `next` throw. The first error counts. */
  end(error: unknown): void {
    this.failure ??= { error }
    this.news.tell()
  }

  /** The next page, as soon as there is one. Throws if no reader waits any more. */
  async next(): Promise<Arrival> {
    for (;;) {
      if (this.failure) throw this.failure.error
      this.readers?.all.throwIfNoneWaits()
      const arrival = this.arrived.shift()
      if (arrival) return arrival
      await this.news.next()
    }
  }

  /** Lets `next` look again: a reader may have left. */
  wake(): void {
    this.news.tell()
  }
}
