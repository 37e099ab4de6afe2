import type { PageNumbers } from './pages.js'

/** Decides which page leaves memory when another one needs its slot. Holds the history of one run. */
export interface EvictionPolicy {
  /** A stack is asked for experts: its layer runs now. Called before `use` for these experts. */
  begin(stack: number): void
  /** A page is used, whether it was in memory or had to be read. */
  use(page: number): void
  /** What a page in memory is worth now. The page with the least worth is evicted. */
  worth(page: number): number
}

/** The page with the least worth. */
export function leastWorth(pages: Iterable<number>, policy: Pick<EvictionPolicy, 'worth'>): number {
  let least = -1
  let worth = Infinity
  for (const page of pages) {
    const own = policy.worth(page)
    if (least >= 0 && own >= worth) continue
    least = page
    worth = own
  }
  return least
}

/** Evicts the page that was not used for the longest time. */
export class LeastRecentlyUsed implements EvictionPolicy {
  private readonly lastUse: Float64Array
  private time = 0

  constructor({ count }: Pick<PageNumbers, 'count'>) {
    this.lastUse = new Float64Array(count)
  }

  begin(): void {}

  use(page: number): void {
    this.lastUse[page] = ++this.time
  }

  worth(page: number): number {
    return this.lastUse[page]
  }
}

/**
 * Least frequently used, where a use counts half after `halfLife` rounds. A round is as many turns of layers as there
 * are stacks. Pages keep their counts when they are evicted.
 */
export class LeastFrequentlyUsed implements EvictionPolicy {
  /**
   * The binary logarithm of a page's sum of 2^(time / halfLife) over its uses. The sum itself grows beyond all numbers;
   * it orders pages as counts that decay do.
   */
  private readonly logarithm: Float64Array
  private readonly halfLife: number
  private turns = 0

  constructor({ count, stacks }: Pick<PageNumbers, 'count' | 'stacks'>, halfLife: number) {
    this.logarithm = new Float64Array(count).fill(-Infinity)
    this.halfLife = halfLife * stacks.length
  }

  begin(): void {
    this.turns++
  }

  use(page: number): void {
    const use = this.turns / this.halfLife
    const before = this.logarithm[page]
    const larger = Math.max(use, before)
    this.logarithm[page] = larger + Math.log2(2 ** (use - larger) + 2 ** (before - larger))
  }

  worth(page: number): number {
    return this.logarithm[page]
  }
}
