import { ConfigError, FileError } from '../../base/errors.js'
import { dtypes } from '../../base/dtypes.js'
import { formatBytes } from '../../base/format.js'
import { sizeOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { ExpertSource } from '../../checkpoint/experts/source.js'
import type { AbsentPage, Page, Pages } from '../../engine/compile/paged/pages.js'
import { PageLoads } from './page-loads.js'
import type { Load } from './page-loads.js'
import { PageMemory, slotAllocator } from './page-memory.js'
import type { Slot } from './page-memory.js'
import { PageNumbers, slotsIn } from './pages.js'
import { checkPins } from './pins.js'
import { DEFAULT_POLICY, policies } from './policies.js'
import type { PolicyName } from './policies.js'
import type { EvictionPolicy } from './policy.js'
import type { ExpertReaders } from './readers.js'
import { WantedPages } from './wanted-pages.js'

export interface PagerOptions {
  /** The most bytes for pages, and for what programs keep beside them (`Page.keep`). */
  readonly memory: number
  /** Which page leaves memory for another one. Default: `DEFAULT_POLICY`. */
  readonly policy?: PolicyName
  /** The pages that stay in memory once they are read: see `pinnedPages`. Default: none. */
  readonly pinned?: ReadonlySet<number>
  /** Called when a stack is asked for experts, and after each page that it gives. */
  readonly onProgress?: (progress: PagingProgress) => void
}

/** What a pager is doing. */
export interface PagingProgress {
  /** `encoder` or `decoder`, and which of its sparse layers runs, from 1. */
  readonly stack: 'encoder' | 'decoder'
  readonly layer: number
  readonly layers: number
  /** How many experts the layer's tokens met, and how many of them it has been given. */
  readonly experts: number
  readonly given: number
  /** Bytes that the pager has read so far. */
  readonly bytes: number
}

/** Counts of a stack since the pager was made. */
export interface StackCounts {
  readonly path: string
  /** Pages that were in memory when they were asked for, or were being read for another request. */
  readonly hits: number
  /** Pages that had to be read. */
  readonly misses: number
  /** Bytes of the pages that were read. */
  readonly bytes: number
  /** Milliseconds in which a layer had no page to compute with. */
  readonly waited: number
}

/** The pages of one stack, for the engine. */
export interface StackPages extends Pages {
  fetch(indices: readonly number[], sources?: readonly Int32Array[]): AsyncGenerator<Page | AbsentPage, void, undefined>
}

/** A fetch that is going on, and the reads that it has asked for. */
interface Fetch {
  readonly wanted: WantedPages
  readonly loads: readonly Load[]
}

/**
 * Keeps the experts of a model in a memory of fixed size. A page is read when a layer asks for it, once for all rows
 * and requests that want it, and stays until the policy evicts it. A fetch gives the pages in memory first, then the
 * others as they arrive. A fetch of more pages than there are slots goes through them in turns.
 */
export class Pager {
  readonly pages: PageNumbers
  private readonly memory: PageMemory
  private readonly policy: EvictionPolicy
  private readonly stackPages: readonly StackPages[]
  private readonly counts: { -readonly [K in keyof StackCounts]: StackCounts[K] }[]
  private readonly loads: PageLoads
  private readonly fetches = new Set<Fetch>()
  /** The readers of the pass that runs; undefined if each of its fetches has one reader. */
  private readers: ExpertReaders | undefined
  /** Settles when all passes so far are over. */
  private lastPass: Promise<unknown> = Promise.resolve()
  private readonly stop = new AbortController()

  /** Throws a ConfigError if not even one expert fits into the memory, or if pinned ones fill it. */
  constructor(
    private readonly source: ExpertSource,
    private readonly options: PagerOptions,
  ) {
    const { memory, policy = DEFAULT_POLICY, pinned = new Set() } = options
    const pages = new PageNumbers(source.stacks)
    const slots = slotsIn(memory, pages)
    if (slots === 0)
      throw new ConfigError(
        `${source.name}: one expert takes ${formatBytes(pages.slotBytes)}, more than the ${formatBytes(memory)} of memory for experts: give more`,
      )
    if (slots < pages.count) checkPins(pinned, slots, pages)
    this.pages = pages
    this.policy = policies[policy](pages)
    const allocator = slotAllocator(source.stacks, slots * pages.slotBytes)
    this.memory = new PageMemory(memory, pages.slotBytes, this.policy, pinned, allocator)
    this.loads = new PageLoads(source, pages, this.memory, (slot, wantedBy) => this.onRead(slot, wantedBy))
    this.stackPages = source.stacks.map(({ path, numExperts, parts }, stack) => ({
      name: path,
      length: numExperts,
      parts: parts.map(({ dtype, shape, isTransposed }) => ({ dtype, shape, isTransposed })),
      fetch: (experts, sources) => this.fetch(stack, experts, sources),
    }))
    this.counts = source.stacks.map(({ path }) => ({ path, hits: 0, misses: 0, bytes: 0, waited: 0 }))
  }

  /** The bytes that pages, and what programs keep beside them, take now: never more than `PagerOptions.memory`. */
  get memoryBytes(): number {
    return this.memory.bytes
  }

  /** Counts of each stack. */
  statistics(): readonly StackCounts[] {
    return this.counts.map(counts => ({ ...counts }))
  }

  /**
   * The pages of a stack, for the engine: always the same object, by which the engine knows that arrays share pages and
   * fetches each page once for all of them.
   */
  pagesOf(stack: number): StackPages {
    return this.stackPages[stack]
  }

  /**
   * Runs a pass of the model for readers who are independent of each other, when all earlier passes are over: fetches
   * that are made meanwhile are those of this pass. Rejects if no reader waits any more.
   */
  during<T>(readers: ExpertReaders, pass: () => Promise<T>): Promise<T> {
    const result = this.lastPass.then(() => this.runPass(readers, pass))
    this.lastPass = result.catch(() => undefined)
    return result
  }

  private async runPass<T>(readers: ExpertReaders, pass: () => Promise<T>): Promise<T> {
    readers.throwIfNoneWaits()
    readers.onChange = () => this.leaveUnwanted()
    this.readers = readers
    try {
      return await pass()
    } finally {
      this.readers = undefined
    }
  }

  /** Ends all fetches and reads with an error, waits for the reads in progress, and closes the source. */
  async close(): Promise<void> {
    const closed = new FileError(`${this.source.name}: its experts cannot be read: the model has been closed`)
    if (!this.stop.signal.aborted) this.stop.abort(closed)
    for (const { wanted } of this.fetches) wanted.end(closed)
    await this.loads.close(closed)
    this.memory.clear()
    await this.source.close()
  }

  private async *fetch(
    stack: number,
    experts: readonly number[],
    sources: readonly Int32Array[] | undefined,
  ): AsyncGenerator<Page | AbsentPage, void, undefined> {
    this.stop.signal.throwIfAborted()
    const counts = this.counts[stack]
    const wanted = this.wantedPages(stack, experts, sources)
    const loads: Load[] = []
    let given: Slot | null = null
    this.policy.begin(stack)
    for (const expert of experts) {
      const page = this.pages.of(stack, expert)
      const slot = this.memory.find(page)
      if (!wanted.isWanted(page)) wanted.leaveOut(page)
      else if (slot) this.hand(slot, wanted)
      else loads.push(this.want(page, stack, wanted))
    }
    const fetch = { wanted, loads }
    this.fetches.add(fetch)
    this.loads.start()
    this.report(stack, experts.length, 0)
    try {
      for (let i = 0; i < experts.length; i++) {
        const began = performance.now()
        const { page, slot } = await wanted.next()
        given = slot
        counts.waited += performance.now() - began
        this.report(stack, experts.length, i + 1)
        if (!slot) {
          yield { index: this.pages.expertOf(page), parts: null }
          continue
        }
        yield (slot.view ??= this.pageIn(slot))
        this.release(slot)
        given = null
      }
    } finally {
      this.fetches.delete(fetch)
      // First its loads, since a released slot starts the next one of the queue.
      for (const load of loads) this.leave(load, wanted)
      if (given) this.release(given)
      for (const { slot } of wanted.arrived) if (slot) this.release(slot)
    }
  }

  /** The pages that a fetch waits for. `sources`: the rows of the pass that want each of them, if they are known. */
  private wantedPages(
    stack: number,
    experts: readonly number[],
    sources: readonly Int32Array[] | undefined,
  ): WantedPages {
    const { readers } = this
    if (!readers || !sources) return new WantedPages()
    const ofPages = experts.map((expert, i) => [this.pages.of(stack, expert), readers.of(sources[i])] as const)
    return new WantedPages({ all: readers, ofPages: new Map(ofPages) })
  }

  /** Leaves out the pages of all fetches that no reader waits for any more, as far as they have not arrived. */
  private leaveUnwanted(): void {
    for (const { wanted, loads } of this.fetches) {
      for (const load of loads) {
        if (!load.wantedBy.has(wanted) || wanted.isWanted(load.page)) continue
        this.leave(load, wanted)
        wanted.leaveOut(load.page)
      }
      wanted.wake()
    }
  }

  /** Counts a page as used, and lets a fetch have it. */
  private hand(slot: Slot, wanted: WantedPages): void {
    const stack = this.pages.stackOf(slot.page)
    this.counts[stack].hits++
    this.policy.use(slot.page)
    slot.users++
    wanted.arrive(slot)
  }

  /** Waits for a page that is not in memory. */
  private want(page: number, stack: number, wanted: WantedPages): Load {
    const { load, isNew } = this.loads.want(page, wanted)
    if (isNew) this.counts[stack].misses++
    return load
  }

  private leave(load: Load, wanted: WantedPages): void {
    if (this.loads.leave(load, wanted)) this.counts[this.pages.stackOf(load.page)].misses--
  }

  private release(slot: Slot): void {
    slot.users--
    this.loads.start()
  }

  /** A page was read. */
  private onRead(slot: Slot, wantedBy: ReadonlySet<WantedPages>): void {
    const stack = this.pages.stackOf(slot.page)
    this.counts[stack].bytes += this.source.stacks[stack].bytes
    for (const wanted of wantedBy) this.hand(slot, wanted)
    // The fetch that had the page read has counted it as a miss.
    this.counts[stack].hits--
  }

  /** The page that a slot holds, without a copy. */
  private pageIn(slot: Slot): Page {
    const { buffer, byteOffset } = slot.bytes
    const parts = this.source.stacks[this.pages.stackOf(slot.page)].parts.map(
      ({ dtype, shape, offset }): HostTensor => ({
        dtype,
        shape,
        data: dtypes[dtype].make(buffer, byteOffset + offset, sizeOf(shape)),
      }),
    )
    return {
      index: this.pages.expertOf(slot.page),
      parts,
      keep: (bytes, free) => !this.stop.signal.aborted && this.memory.keep(slot, bytes, free),
    }
  }

  private report(stack: number, experts: number, given: number): void {
    const { encoderStacks, stacks } = this.pages
    const isEncoder = stack < encoderStacks
    this.options.onProgress?.({
      stack: isEncoder ? 'encoder' : 'decoder',
      layer: isEncoder ? stack + 1 : stack - encoderStacks + 1,
      layers: isEncoder ? encoderStacks : stacks.length - encoderStacks,
      experts,
      given,
      bytes: this.counts.reduce((sum, { bytes }) => sum + bytes, 0),
    })
  }
}
