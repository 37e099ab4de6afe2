import { SwitchyardError } from '../../base/errors.js'
import type { ExpertSource } from '../../checkpoint/experts/source.js'
import type { PageMemory, Slot } from './page-memory.js'
import { readPage } from './page-reads.js'
import type { PageNumbers } from './pages.js'
import type { WantedPages } from './wanted-pages.js'

/**
 * How many pages are read at once: as many as libuv's pool, on which Node reads files, has threads by default. More
 * reads would wait in its queue before everything else that needs the pool. Pages of 4.7 MB from an NVMe disk: one read
 * at a time gives 1.1 GB/s, two to eight give 1.4 to 1.5.
 */
const READS_AT_ONCE = 4

/** The reason why a read is ended that no fetch wants any more. No one is told. */
const notWanted = new Error('no fetch wants this page any more')

/** A page that is to be read, or is being read. */
export interface Load {
  readonly page: number
  /** The fetches that wait for it; empty when it has arrived or failed. */
  readonly wantedBy: Set<WantedPages>
  /** Ends the read. */
  readonly abort: AbortController
}

/** Reads pages into slots, several at once, in the order in which they were asked for. */
export class PageLoads {
  /** Pages that wait for a slot. */
  private readonly queue: Load[] = []
  /** All pages that are queued or being read. */
  private readonly loads = new Map<number, Load>()
  private readonly reads = new Set<Promise<void>>()
  private isClosed = false

  /** `onRead` is called with each page that was read, when its slot holds it, and the fetches that wait for it. */
  constructor(
    private readonly source: ExpertSource,
    private readonly pages: PageNumbers,
    private readonly memory: PageMemory,
    private readonly onRead: (slot: Slot, wantedBy: ReadonlySet<WantedPages>) => void,
  ) {}

  /** Queues a page to be read, or joins the fetches that wait for it. */
  want(page: number, wanted: WantedPages): { readonly load: Load; readonly isNew: boolean } {
    const found = this.loads.get(page)
    if (found) {
      found.wantedBy.add(wanted)
      return { load: found, isNew: false }
    }
    const load: Load = { page, wantedBy: new Set([wanted]), abort: new AbortController() }
    this.loads.set(page, load)
    this.queue.push(load)
    return { load, isNew: true }
  }

  /**
   * A fetch does not wait for a page any more. If no other does, it is not read, or the read ends. Returns whether it
   * was taken from the queue.
   */
  leave(load: Load, wanted: WantedPages): boolean {
    if (!load.wantedBy.delete(wanted) || load.wantedBy.size > 0) return false
    this.loads.delete(load.page)
    const at = this.queue.indexOf(load)
    if (at >= 0) this.queue.splice(at, 1)
    else load.abort.abort(notWanted)
    return at >= 0
  }

  /** Starts reads of queued pages, as far as there are slots for them. */
  start(): void {
    while (this.reads.size < READS_AT_ONCE && this.queue.length > 0 && !this.isClosed) {
      let slot: Slot | undefined
      try {
        slot = this.memory.take()
      } catch (error) {
        // The machine has less memory than it was told to use.
        this.fail(this.queue.shift()!, error)
        continue
      }
      if (!slot) return
      const read = this.read(this.queue.shift()!, slot).finally(() => {
        this.reads.delete(read)
        this.start()
      })
      this.reads.add(read)
    }
  }

  /** Ends all reads with an error, and waits for those in progress. */
  async close(reason: Error): Promise<void> {
    this.isClosed = true
    this.queue.length = 0
    for (const load of this.loads.values()) load.abort.abort(reason)
    await Promise.all(this.reads)
  }

  private async read(load: Load, slot: Slot): Promise<void> {
    const { page, wantedBy, abort } = load
    const stack = this.pages.stackOf(page)
    try {
      const into = slot.bytes.subarray(0, this.source.stacks[stack].bytes)
      await readPage(this.source, stack, this.pages.expertOf(page), into, abort.signal)
      abort.signal.throwIfAborted()
    } catch (error) {
      this.memory.giveBack(slot)
      this.fail(load, error)
      return
    }
    this.loads.delete(page)
    this.memory.fill(slot, page)
    this.onRead(slot, wantedBy)
    wantedBy.clear()
    slot.users--
  }

  /** An error that a user can cause fails the page. Any other one, such as too little memory, ends the fetches. */
  private fail(load: Load, error: unknown): void {
    // After an abort, another fetch may have asked for the page again, which is another load.
    if (this.loads.get(load.page) === load) this.loads.delete(load.page)
    const fetches = [...load.wantedBy]
    load.wantedBy.clear()
    for (const wanted of fetches)
      if (error instanceof SwitchyardError) wanted.fail(load.page, error)
      else wanted.end(error)
  }
}
