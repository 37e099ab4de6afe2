import { describe, expect, it } from 'vitest'
import {
  EXPERTS,
  failureOf,
  FakeSource,
  indicesOf,
  openPager,
  PAGE,
  rowsOf,
  settle,
  stacks,
} from '../../../test/fake-expert-source.js'
import { SwitchyardError } from '../../base/errors.js'
import { randomStream } from '../random-stream.js'
import { Pager } from './pager.js'
import type { PagingProgress } from './pager.js'
import { PageNumbers } from './pages.js'
import { policies } from './policies.js'
import type { PolicyName } from './policies.js'
import { ExpertReaders } from './readers.js'
import { simulate } from './simulate.js'

describe('a pager gives', () => {
  it('parts as views of their dtypes, at their places in the page', async () => {
    const { pager, source } = openPager(2)
    source.onRead = ({ page, end }) => {
      end()
      page.set(new Uint8Array(Float32Array.of(1, 2, 3).buffer), 64)
    }
    const pages = pager.pagesOf(1)
    expect([pages.name, pages.length, pages.parts.length]).toEqual(['decoder/layers_1/mlp/expert', EXPERTS, 4])
    for await (const { parts } of pages.fetch([5])) {
      expect(parts!.map(({ dtype, shape }) => [dtype, shape])).toEqual(pages.parts.map(p => [p.dtype, p.shape]))
      expect([...(parts![1].data as Float32Array)]).toEqual([1, 2, 3])
      expect([...(parts![2].data as Int8Array)]).toEqual(new Array(6).fill(15))
    }
  })

  it('pages in memory first, then others in the order in which they arrive', async () => {
    const { pager, source } = openPager(8)
    source.onRead = ({ end }) => end()
    await indicesOf(pager.pagesOf(1), 1, [4])
    source.onRead = undefined
    const given = indicesOf(pager.pagesOf(1), 1, [0, 1, 4, 2])
    await settle()
    expect(source.reading.map(({ expert }) => expert)).toEqual([0, 1, 2])
    for (const expert of [2, 0, 1]) {
      source.reading.find(read => read.expert === expert)!.end()
      await settle()
    }
    expect(await given).toEqual([4, 2, 0, 1])
    expect(pager.statistics()[1]).toMatchObject({ hits: 1, misses: 4, bytes: 4 * PAGE })
  })

  it('a page that several requests want after one read', async () => {
    const { pager, source } = openPager(4)
    const fetches = [[3, 1], [1], [1, 3]].map(indices => indicesOf(pager.pagesOf(2), 2, indices))
    await settle()
    source.endAll()
    expect(await Promise.all(fetches)).toEqual([[3, 1], [1], [3, 1]])
    expect(source.reads).toBe(2)
    expect(pager.statistics()[2]).toMatchObject({ hits: 3, misses: 2, bytes: 2 * PAGE })
  })

  it('more pages than there are slots in turns, in the memory of these slots', async () => {
    const { pager, source } = openPager(2)
    source.onRead = ({ end }) => setImmediate(end)
    const all = Array.from({ length: EXPERTS }, (_, i) => i)
    const fetches = [0, 1, 2].map(stack => indicesOf(pager.pagesOf(stack), stack, all))
    for (const given of await Promise.all(fetches)) expect(given.toSorted()).toEqual(all)
    expect(source.slots.length).toBe(2)
    expect(pager.memoryBytes).toBe(2 * PAGE)
  })

  it('pinned pages after one read, whatever else is asked for', async () => {
    const { pager, source } = openPager(2, { pinned: new Set([3]), policy: 'lru' })
    source.onRead = ({ end }) => end()
    for (const expert of [3, 0, 1, 2, 3]) await indicesOf(pager.pagesOf(0), 0, [expert])
    expect(pager.statistics()[0]).toMatchObject({ hits: 1, misses: 4 })
    expect(() => openPager(2, { pinned: new Set([3, 4]) })).toThrow(/2 pinned experts/)
  })

  it('progress: the layer, its experts, and the bytes so far', async () => {
    const seen: PagingProgress[] = []
    const { pager, source } = openPager(4, { onProgress: progress => seen.push(progress) })
    source.onRead = ({ end }) => end()
    await indicesOf(pager.pagesOf(2), 2, [6, 7])
    const layer = { stack: 'decoder', layer: 2, layers: 2, experts: 2 }
    expect(seen[0]).toEqual({ ...layer, given: 0, bytes: 0 })
    expect(seen.at(-1)).toEqual({ ...layer, given: 2, bytes: 2 * PAGE })
    await indicesOf(pager.pagesOf(0), 0, [1])
    expect(seen.at(-1)).toMatchObject({ stack: 'encoder', layer: 1, layers: 1 })
  })
})

it('a memory without room for one expert is refused', () => {
  expect(() => new Pager(new FakeSource(), { memory: PAGE - 1 })).toThrow(/one expert takes 204 B, more than the 203 B/)
})

describe('a read that fails', () => {
  it('is tried again', async () => {
    const { pager, source } = openPager(2)
    source.onRead = read => read.end(source.reads < 3 ? failureOf(read) : undefined)
    expect(await indicesOf(pager.pagesOf(0), 0, [2])).toEqual([2])
    expect(source.reads).toBe(3)
  })

  it('three times is one error that names file, layer and expert; the slot is free, and a later fetch reads again', async () => {
    const { pager, source } = openPager(1)
    source.onRead = read => read.end(read.expert === 2 ? failureOf(read) : undefined)
    const pages = pager.pagesOf(0)
    const both = [indicesOf(pages, 0, [2]), indicesOf(pages, 0, [2, 3])]
    const message = 'model.safetensors: expert 2 of encoder/layers_1/mlp/expert: the file ends within it (read 3 times)'
    for (const fetch of both) await expect(fetch).rejects.toThrow(message)
    expect(source.reads).toBeLessThanOrEqual(4)
    expect(await indicesOf(pages, 0, [3])).toEqual([3])
    source.onRead = read => read.end()
    expect(await indicesOf(pages, 0, [2])).toEqual([2])
  })

  it('with an error of the network is not tried again, since the connection has done that', async () => {
    const { pager, source } = openPager(1)
    source.onRead = ({ end }) => end(new SwitchyardError('google/sparse: the hub has an error just now'))
    await expect(indicesOf(pager.pagesOf(1), 1, [0])).rejects.toThrow(/^google.sparse: the hub has an error just now$/)
    expect(source.reads).toBe(1)
  })

  it('with an error of the operating system is named, and with a bug is not tried again', async () => {
    const { pager, source } = openPager(1)
    source.onRead = ({ end }) => end(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }))
    await expect(indicesOf(pager.pagesOf(1), 1, [0])).rejects.toThrow(
      'model.safetensors: expert 0 of decoder/layers_1/mlp/expert cannot be read: EIO: i/o error (read 3 times)',
    )
    source.reads = 0
    source.onRead = ({ end }) => end(new TypeError('x is undefined'))
    await expect(indicesOf(pager.pagesOf(1), 1, [0])).rejects.toThrow(TypeError)
    expect(source.reads).toBe(1)
  })
})

describe('a fetch that ends early', () => {
  it('because all its readers have left rejects at once, ends its reads, and starts no others', async () => {
    const { pager, source } = openPager(2)
    const readers = new ExpertReaders(['a', 'b'], row => (row === 0 ? 'a' : 'b'))
    const pages = pager.pagesOf(0)
    const pass = pager.during(readers, () => indicesOf(pages, 0, [0, 1, 2, 3], rowsOf(0, 1, 0, 1)))
    await settle()
    const reads = source.reading.slice()
    expect(reads).toHaveLength(2)
    readers.leave('a')
    readers.leave('b')
    await expect(pass).rejects.toThrow('every request of this pass has ended')
    expect(reads.every(({ signal }) => signal!.aborted)).toBe(true)
    for (const read of reads) read.end(new Error('aborted'))
    await settle()
    expect(source.reads).toBe(2)
    source.onRead = read => read.end()
    expect(await indicesOf(pages, 0, [0, 5])).toEqual([0, 5])
  })

  it('by leaving the loop frees its slots', async () => {
    const { pager, source } = openPager(2)
    source.onRead = ({ end }) => end()
    const leave = async (experts: readonly number[]): Promise<void> => {
      for await (const { index } of pager.pagesOf(0).fetch(experts)) {
        expect(index).toBe(experts[0])
        await settle()
        break
      }
    }
    // Of each, the page that was not given stays in memory.
    await leave([0, 1])
    await leave([1, 0])
    expect((await indicesOf(pager.pagesOf(1), 1, [4, 5])).toSorted()).toEqual([4, 5])
    // Pages that still wait for a slot are not read.
    const reads = source.reads
    await leave([0, 1, 2, 3])
    await settle()
    expect(source.reads).toBe(reads + 2)
  })

  it('by closing the pager rejects; close waits for reads and closes the source', async () => {
    const { pager, source } = openPager(2)
    const waiting = indicesOf(pager.pagesOf(0), 0, [0, 1, 2])
    await settle()
    let isClosed = false
    const closing = pager.close().then(() => (isClosed = true))
    await expect(waiting).rejects.toThrow('model.safetensors: its experts cannot be read: the model has been closed')
    expect([isClosed, source.reading.length]).toEqual([false, 2])
    expect(source.reading.every(read => read.signal!.aborted)).toBe(true)
    source.endAll()
    await closing
    expect(source.isClosed).toBe(true)
    await expect(indicesOf(pager.pagesOf(0), 0, [0])).rejects.toThrow('has been closed')
  })
})

describe.each(Object.keys(policies) as PolicyName[])('with the policy %s', policy => {
  it('fetches at random, with reads that are slow or fail, give each page once and right, within the memory', async () => {
    const random = randomStream(11)
    const pick = (n: number): number => Math.floor(n * random())
    for (const slots of [1, 3, 10]) {
      const { pager, source } = openPager(slots, { policy })
      source.onRead = read => {
        const end = (): void => read.end(random() < 0.05 ? failureOf(read) : undefined)
        if (random() < 0.5) setImmediate(end)
        else void settle().then(settle).then(end)
      }
      let wanted = 0
      const request = async (): Promise<void> => {
        for (let turn = 0; turn < 12; turn++) {
          const stack = turn % stacks.length
          const indices = Array.from({ length: EXPERTS }, (_, i) => i).filter(() => random() < 0.3)
          wanted += indices.length
          const given = await indicesOf(pager.pagesOf(stack), stack, indices)
          expect(given.toSorted()).toEqual(indices)
          for (let i = pick(3); i > 0; i--) await settle()
        }
      }
      await Promise.all(Array.from({ length: 4 }, request))
      const counts = pager.statistics()
      const sum = (key: 'hits' | 'misses' | 'bytes'): number => counts.reduce((all, stack) => all + stack[key], 0)
      expect(sum('hits') + sum('misses')).toBe(wanted)
      expect(sum('bytes')).toBe(sum('misses') * PAGE)
      expect(source.slots.length * PAGE).toBe(pager.memoryBytes)
      expect(source.slots.length).toBeLessThanOrEqual(slots)
      await pager.close()
    }
  })

  it('hits are those of the simulator, page by page', async () => {
    const random = randomStream(3)
    const { pager, source } = openPager(5, { policy })
    source.onRead = ({ end }) => end()
    const pages = new PageNumbers(stacks)
    const asked = Array.from({ length: 300 }, (_, i) => ({
      stack: i % stacks.length,
      expert: Math.floor(EXPERTS * random() ** 2),
    }))
    for (const { stack, expert } of asked) await indicesOf(pager.pagesOf(stack), stack, [expert])
    const turns = asked.map(({ stack, expert }) => ({ stack, pages: Int32Array.of(pages.of(stack, expert)) }))
    const { hits, misses } = simulate(turns, 5, policies[policy](pages))
    const counts = pager.statistics()
    expect(counts.map(c => c.hits).reduce((a, b) => a + b)).toBe(hits)
    expect(counts.map(c => c.misses).reduce((a, b) => a + b)).toBe(misses)
    expect(hits).toBeGreaterThan(20)
  })
})
