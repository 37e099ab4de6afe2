import { leastWorth } from './policy.js'
import type { EvictionPolicy } from './policy.js'

/** Memory for one page. */
export interface Slot {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** The page that it holds; -1: none. */
  page: number
  /** How many fetches read the slot or are to get it, and whether it is being filled. It is evicted only at 0. */
  users: number
}

/**
 * A fixed number of slots of one size. They are allocated when they are first needed, and used again for other pages,
 * so that memory neither grows beyond them nor waits for a garbage collection.
 */
export class PageMemory {
  private readonly slots: Slot[] = []
  private readonly free: Slot[] = []
  private readonly ofPage = new Map<number, Slot>()

  constructor(
    private readonly most: number,
    private readonly slotBytes: number,
    private readonly policy: EvictionPolicy,
    private readonly pinned: ReadonlySet<number>,
  ) {}

  /** The bytes of all slots so far. */
  get bytes(): number {
    return this.slots.length * this.slotBytes
  }

  /** The slot that holds a page. */
  find(page: number): Slot | undefined {
    return this.ofPage.get(page)
  }

  /**
   * A slot to fill, which has one user: one without a page, or that of the page with the least worth, which is evicted.
   * undefined if all slots have users or pinned pages.
   */
  take(): Slot | undefined {
    const slot = this.free.pop() ?? this.allocated() ?? this.evicted()
    if (slot) slot.users = 1
    return slot
  }

  /** A slot that `take` gave holds a page now. */
  fill(slot: Slot, page: number): void {
    slot.page = page
    this.ofPage.set(page, slot)
  }

  /** Takes back a slot that could not be filled. */
  giveBack(slot: Slot): void {
    slot.users = 0
    this.free.push(slot)
  }

  private allocated(): Slot | undefined {
    if (this.slots.length >= this.most) return undefined
    const slot: Slot = { bytes: new Uint8Array(this.slotBytes), page: -1, users: 0 }
    this.slots.push(slot)
    return slot
  }

  private evicted(): Slot | undefined {
    const candidates = this.slots.filter(({ page, users }) => users === 0 && page >= 0 && !this.pinned.has(page))
    if (candidates.length === 0) return undefined
    const page = leastWorth(
      candidates.map(slot => slot.page),
      this.policy,
    )
    const slot = this.ofPage.get(page)!
    this.ofPage.delete(page)
    slot.page = -1
    return slot
  }
}
