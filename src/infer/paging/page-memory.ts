import type { ExpertPart, ExpertStack } from '../../checkpoint/experts/source.js'
import type { Page } from '../../engine/compile/paged/pages.js'
import { BLOCK_BYTES } from '../../engine/compile/wasm/block-product-code.js'
import { PageArenas } from '../../engine/compile/wasm/page-arenas.js'
import { leastWorth } from './policy.js'
import type { EvictionPolicy } from './policy.js'

/** Memory for one page. */
export interface Slot {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** The page that it holds; -1: none. */
  page: number
  /** How many fetches read the slot or are to get it, and whether it is being filled. It is evicted only at 0. */
  users: number
  /** The page as fetches give it: one object for as long as the slot holds it. */
  view?: Page
  /** What programs keep beside the page until it leaves: its bytes, and how it is freed. */
  readonly kept: { readonly bytes: number; readonly free: () => void }[]
}

/** Where slots get their memory. */
export interface SlotAllocator {
  allocate(bytes: number): Uint8Array<ArrayBuffer>
  /** Whether a slot's memory is freed with the slot, and not with the last of all slots. */
  readonly areFreed: boolean
}

/**
 * Allocates memory for slots, `most` bytes at most. Kernels in 8 or 4 bits get memory in which generated code can
 * multiply them.
 */
export function slotAllocator(stacks: readonly Pick<ExpertStack, 'parts'>[], most: number): SlotAllocator {
  const isMultiplied = ({ kind, dtype, shape }: ExpertPart): boolean =>
    dtype === 'int8' || (kind === 'values' && shape.at(-1) === BLOCK_BYTES)
  if (!stacks.some(({ parts }) => parts.some(isMultiplied)))
    return { allocate: bytes => new Uint8Array(bytes), areFreed: true }
  const arenas = new PageArenas(most)
  return { allocate: bytes => arenas.allocate(bytes), areFreed: false }
}

/**
 * Slots of one size in a memory of `most` bytes. They are allocated when they are first needed, and used again for
 * other pages, so that memory neither grows beyond them nor waits for a garbage collection. What programs keep beside
 * pages takes the memory of slots.
 */
export class PageMemory {
  private slots: Slot[] = []
  private readonly free: Slot[] = []
  private readonly ofPage = new Map<number, Slot>()
  private keptBytes = 0

  constructor(
    private readonly most: number,
    private readonly slotBytes: number,
    private readonly policy: EvictionPolicy,
    private readonly pinned: ReadonlySet<number>,
    private readonly allocator: SlotAllocator,
  ) {}

  /** The bytes of all slots so far, and of what is kept beside their pages. */
  get bytes(): number {
    return this.slots.length * this.slotBytes + this.keptBytes
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

  /**
   * Counts `bytes` that a program keeps beside a slot's page, if there is room. `free` frees them: it is called once,
   * when the page leaves memory. Pages without users leave to make room, if that frees their memory.
   */
  keep(slot: Slot, bytes: number, free: () => void): boolean {
    if (this.pinned.has(slot.page) && !this.leavesRoom(bytes)) return false
    while (this.bytes + bytes > this.most) {
      const other = this.allocator.areFreed ? (this.free.pop() ?? this.evicted()) : undefined
      if (!other) return false
      this.slots = this.slots.filter(s => s !== other)
    }
    slot.kept.push({ bytes, free })
    this.keptBytes += bytes
    return true
  }

  /** Whether there is a slot for pages that are not pinned when all pinned ones are read and keep `bytes` more. */
  private leavesRoom(bytes: number): boolean {
    const kept = this.slots.filter(({ page }) => this.pinned.has(page)).flatMap(slot => slot.kept)
    const all = kept.reduce((sum, one) => sum + one.bytes, bytes)
    return (this.pinned.size + 1) * this.slotBytes + all <= this.most
  }

  /** Frees what is kept beside all pages. */
  clear(): void {
    for (const slot of this.slots) this.forget(slot)
  }

  private allocated(): Slot | undefined {
    if (this.bytes + this.slotBytes > this.most) return undefined
    const slot: Slot = { bytes: this.allocator.allocate(this.slotBytes), page: -1, users: 0, kept: [] }
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
    this.forget(slot)
    slot.page = -1
    return slot
  }

  private forget(slot: Slot): void {
    slot.view = undefined
    for (const { bytes, free } of slot.kept.splice(0)) {
      this.keptBytes -= bytes
      free()
    }
  }
}
