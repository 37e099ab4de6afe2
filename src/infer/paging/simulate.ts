import type { PageNumbers } from './pages.js'
import { leastWorth } from './policy.js'
import type { EvictionPolicy } from './policy.js'
import type { Turn } from './turn.js'

export interface Simulated {
  readonly hits: number
  readonly misses: number
}

const NEVER = Infinity

/**
 * Counts the hits of a run's turns in a memory of `slots` pages, empty at first. As in the Pager, a turn uses the pages
 * that are in memory first; each further page is read, and takes the slot of the page with the least worth if none is
 * free. `pinned` pages stay once they are read.
 */
export function simulate(
  turns: Iterable<Turn>,
  slots: number,
  policy: EvictionPolicy,
  pinned: ReadonlySet<number> = new Set(),
): Simulated {
  const memory = new Set<number>()
  const kept = new Set<number>()
  const counts = { hits: 0, misses: 0 }
  for (const { stack, pages } of turns) {
    policy.begin(stack)
    const isHit = Array.from(pages, page => memory.has(page) || kept.has(page))
    pages.forEach((page, i) => isHit[i] && policy.use(page))
    pages.forEach((page, i) => {
      if (isHit[i]) return
      if (memory.size + kept.size >= slots) memory.delete(leastWorth(memory, policy))
      ;(pinned.has(page) ? kept : memory).add(page)
      policy.use(page)
    })
    const hits = isHit.filter(Boolean).length
    counts.hits += hits
    counts.misses += pages.length - hits
  }
  return counts
}

/**
 * Belady's optimum, which knows the future: the page is evicted that is used again last. No policy has fewer misses in
 * a memory of as many slots (Belady 1966).
 */
export class Belady implements EvictionPolicy {
  /** For each page, the numbers of the turns that use it, ascending. */
  private readonly uses: readonly (readonly number[])[]
  private readonly next: Int32Array
  private turn = -1

  constructor({ count }: Pick<PageNumbers, 'count'>, turns: readonly Turn[]) {
    const uses = Array.from({ length: count }, (): number[] => [])
    turns.forEach(({ pages }, turn) => pages.forEach(page => uses[page].push(turn)))
    this.uses = uses
    this.next = new Int32Array(count)
  }

  begin(): void {
    this.turn++
  }

  use(): void {}

  worth(page: number): number {
    const uses = this.uses[page]
    while (uses[this.next[page]] <= this.turn) this.next[page]++
    return -(uses[this.next[page]] ?? NEVER)
  }
}

/** The number of different pages that turns use: each is read at least once. */
export function coldFloor(turns: Iterable<Turn>): number {
  const met = new Set<number>()
  for (const { pages } of turns) for (const page of pages) met.add(page)
  return met.size
}
