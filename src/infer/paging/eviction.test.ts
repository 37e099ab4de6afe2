import { describe, expect, it } from 'vitest'
import { PageNumbers, slotsIn } from './pages.js'
import type { StackShape } from './pages.js'
import { policies } from './policies.js'
import { LeastFrequentlyUsed, LeastRecentlyUsed } from './policy.js'
import type { EvictionPolicy } from './policy.js'
import { LeastStale, stacksUntil } from './least-stale.js'
import { Belady, coldFloor, simulate } from './simulate.js'
import type { Turn } from './turn.js'
import { randomStream } from '../random-stream.js'

const stacks = (encoder: number, decoder: number, numExperts = 8): StackShape[] =>
  ['encoder', 'decoder'].flatMap((stack, i) =>
    Array.from({ length: [encoder, decoder][i] }, (_, layer) => ({
      path: `${stack}/layers_${layer}/mlp/expert`,
      numExperts,
      bytes: 64,
    })),
  )
const turn = (pages: PageNumbers, stack: number, ...experts: number[]): Turn => ({
  stack,
  pages: Int32Array.from(experts, expert => pages.of(stack, expert)),
})

it('pages are numbered stack by stack, and slots have the size of the largest page', () => {
  const pages = new PageNumbers([
    { path: 'encoder/layers_1/mlp/expert', numExperts: 3, bytes: 10 },
    { path: 'decoder/layers_1/mlp/expert', numExperts: 5, bytes: 40 },
  ])
  expect([pages.count, pages.encoderStacks, pages.slotBytes]).toEqual([8, 1, 40])
  expect(Array.from({ length: 8 }, (_, page) => [pages.stackOf(page), pages.expertOf(page)])).toEqual([
    [0, 0],
    [0, 1],
    [0, 2],
    [1, 0],
    [1, 1],
    [1, 2],
    [1, 3],
    [1, 4], // prettier-ignore
  ])
  expect([39, 40, 119, 1e6].map(memory => slotsIn(memory, pages))).toEqual([0, 1, 2, 8])
})

describe('the cycle of layers', () => {
  it('is the decoder’s while it decodes; the encoder runs after it', () => {
    const pages = new PageNumbers(stacks(2, 3))
    const waits = (current: number): number[] => [0, 1, 2, 3, 4].map(stack => stacksUntil(stack, current, pages))
    expect(waits(2)).toEqual([4, 5, 3, 1, 2])
    expect(waits(4)).toEqual([4, 5, 1, 2, 3])
    expect(waits(0)).toEqual([5, 1, 2, 3, 4])
    expect(waits(1)).toEqual([4, 5, 1, 2, 3])
  })

  it('with one page more than there are slots has no hit with LRU, and many with least-stale and Belady’s optimum', () => {
    const pages = new PageNumbers(stacks(0, 5))
    const turns = Array.from({ length: 500 }, (_, i) => turn(pages, i % 5, 3))
    const rate = (policy: EvictionPolicy): number => simulate(turns, 4, policy).hits / turns.length
    expect(rate(policies.lru(pages))).toBe(0)
    expect(rate(policies['least-stale'](pages))).toBeGreaterThan(0.5)
    expect(rate(new Belady(pages, turns))).toBeGreaterThan(0.7)
  })
})

describe('policies evict', () => {
  const pages = new PageNumbers(stacks(1, 2))
  const use = (policy: EvictionPolicy, ...turns: Turn[]): void => {
    for (const { stack, pages: used } of turns) {
      policy.begin(stack)
      for (const page of used) policy.use(page)
    }
  }
  const order = (policy: EvictionPolicy, ...of: number[]): number[] =>
    of.toSorted((a, b) => policy.worth(a) - policy.worth(b))

  it('LRU: the page that was not used for the longest time', () => {
    const policy = new LeastRecentlyUsed(pages)
    use(policy, turn(pages, 1, 0, 1, 2), turn(pages, 1, 1))
    expect(order(policy, 8, 9, 10)).toEqual([8, 10, 9])
  })

  it('LFU: the page with fewest uses, of which old ones count less', () => {
    const policy = new LeastFrequentlyUsed(pages, 1)
    use(policy, turn(pages, 1, 0), turn(pages, 1, 0), turn(pages, 1, 1))
    expect(order(policy, 8, 9, 10)).toEqual([10, 9, 8])
    for (let i = 0; i < 30; i++) policy.begin()
    use(policy, turn(pages, 1, 1))
    expect(order(policy, 8, 9)).toEqual([8, 9])
    // 2^(turns / half-life) is beyond all numbers here.
    for (let i = 0; i < 10_000; i++) policy.begin()
    use(policy, turn(pages, 1, 2))
    expect(order(policy, 8, 9, 10)).toEqual([8, 9, 10])
  })

  it('least-stale: pages of earlier passes first, of the layer that comes again last', () => {
    const policy = new LeastStale(pages)
    use(policy, turn(pages, 0, 0), turn(pages, 1, 0, 1), turn(pages, 2, 0, 1), turn(pages, 1, 1))
    // 9 is of this pass. The encoder's page 0 comes again last, then layer 1's, whose turn it is, then layer 2's.
    expect(order(policy, 0, 8, 9, 16, 17)).toEqual([0, 8, 16, 17, 9])
  })
})

describe('the simulator', () => {
  /** The fewest misses, by trying every choice of the page to evict. */
  function fewestMisses(requests: readonly number[], slots: number): number {
    let states = new Map<string, { memory: readonly number[]; misses: number }>([['', { memory: [], misses: 0 }]])
    for (const page of requests) {
      const next: typeof states = new Map()
      const keep = (memory: readonly number[], misses: number): void => {
        const key = memory.toSorted((a, b) => a - b).join()
        if ((next.get(key)?.misses ?? Infinity) > misses) next.set(key, { memory, misses })
      }
      for (const { memory, misses } of states.values())
        if (memory.includes(page)) keep(memory, misses)
        else if (memory.length < slots) keep([...memory, page], misses + 1)
        else memory.forEach((_, i) => keep(memory.with(i, page), misses + 1))
      states = next
    }
    return Math.min(...Array.from(states.values(), ({ misses }) => misses))
  }

  it('has as few misses with Belady’s policy as any choice has, and no policy has fewer', () => {
    const random = randomStream(7)
    for (let run = 0; run < 20; run++) {
      const pages = new PageNumbers(stacks(0, 1, 6))
      const turns = Array.from({ length: 24 }, () => turn(pages, 0, Math.floor(6 * random() ** 2)))
      const best = simulate(turns, 3, new Belady(pages, turns))
      expect(best.misses).toBe(fewestMisses(turns.map(({ pages: [page] }) => page), 3)) // prettier-ignore
      for (const make of Object.values(policies))
        expect(simulate(turns, 3, make(pages)).misses).toBeGreaterThanOrEqual(best.misses)
      expect(simulate(turns, 6, policies.lru(pages)).misses).toBe(coldFloor(turns))
    }
  })

  it('uses the pages in memory before it evicts for the others of a turn', () => {
    const pages = new PageNumbers(stacks(0, 1))
    const turns = [turn(pages, 0, 6, 7), turn(pages, 0, 0, 6, 7)]
    expect(simulate(turns, 2, policies.lru(pages))).toEqual({ hits: 2, misses: 3 })
  })

  it('never evicts a pinned page', () => {
    const pages = new PageNumbers(stacks(0, 1))
    const turns = [0, 1, 2, 3, 0, 4, 5, 0].map(expert => turn(pages, 0, expert))
    expect(simulate(turns, 2, policies.lru(pages)).hits).toBe(0)
    expect(simulate(turns, 2, policies.lru(pages), new Set([0])).hits).toBe(2)
  })
})
