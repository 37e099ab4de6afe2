import { LeastStale } from './least-stale.js'
import type { PageNumbers } from './pages.js'
import { LeastFrequentlyUsed, LeastRecentlyUsed } from './policy.js'
import type { EvictionPolicy } from './policy.js'

/**
 * The half-life of a use, in rounds. Which experts a layer's tokens meet hardly changes during a run, so a long memory
 * pays; a server's texts change in time, so it is not endless. From 64 to 1024, hit rates differ by up to three
 * percentage points: see docs/paging.md.
 */
const HALF_LIFE = 256

/** The eviction policies by their names on the command line. */
export const policies = {
  lfu: pages => new LeastFrequentlyUsed(pages, HALF_LIFE),
  lru: pages => new LeastRecentlyUsed(pages),
  'least-stale': pages => new LeastStale(pages),
} as const satisfies Record<string, (pages: PageNumbers) => EvictionPolicy>

export type PolicyName = keyof typeof policies

/** On the traces of docs/paging.md, no other policy has higher hit rates, in memories of any size. */
export const DEFAULT_POLICY: PolicyName = 'lfu'
