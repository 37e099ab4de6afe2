import { afterEach, describe, expect, it } from 'vitest'
import { FileError, SwitchyardError } from '../../base/errors.js'
import { expertName, expertStacks } from '../../checkpoint/experts/source.js'
import type { ExpertSource } from '../../checkpoint/experts/source.js'
import type { AbsentPage, Page } from '../../engine/compile/paged/pages.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { randomStream } from '../random-stream.js'
import { Pager } from './pager.js'
import type { PagingProgress, StackPages } from './pager.js'
import { PageNumbers } from './pages.js'
import { policies } from './policies.js'
import type { PolicyName } from './policies.js'
import { ExpertReaders } from './readers.js'
import { simulate } from './simulate.js'

const EXPERTS = 8
const kernel = (layer: string, name: string): ParameterSpec => ({
  path: `${layer}/mlp/expert/${name}/kernel`,
  role: 'expertKernel',
  place: { stack: null, layer: null, sublayer: null, projection: null },
  shape: [EXPERTS, 2, 3],
  axes: ['expert', 'embed', 'expert_mlp'],
  dtype: 'float32',
  init: { kind: 'zeros' },
})
/** `dtype`: int8 for pages that lie in arenas, uint8 for others. */
const stacksIn = (dtype: 'int8' | 'uint8'): ReturnType<typeof expertStacks> =>
  expertStacks(
    ['encoder/layers_1', 'decoder/layers_1', 'decoder/layers_3'].flatMap(layer => [
      kernel(layer, 'wi'),
      kernel(layer, 'wo'),
    ]),
    () => [
      { kind: 'values', dtype, shape: [2, 3], isTransposed: false },
      { kind: 'scales', dtype: 'float32', shape: [3], isTransposed: false },
    ],
  )
const stacks = stacksIn('int8')
/** 6 + 12 bytes for each kernel, each part aligned to 64. */
const PAGE = 204
const valueOf = (stack: number, expert: number): number => 10 * stack + expert

interface Read {
  readonly stack: number
  readonly expert: number
  readonly page: Uint8Array<ArrayBuffer>
  readonly signal?: AbortSignal
  end(error?: Error): void
}

const isSameMemory = (a: Uint8Array, b: Uint8Array): boolean => a.buffer === b.buffer && a.byteOffset === b.byteOffset

/** A source whose reads end when the test says so, or at once. Checks how it is used. */
class FakeSource implements ExpertSource {
  readonly name = 'model.safetensors'

  constructor(readonly stacks = stacksIn('int8')) {}

  readonly reading: Read[] = []
  /** The memory that pages were read into, each once. */
  readonly slots: Uint8Array[] = []
  reads = 0
  mostAtOnce = 0
  isClosed = false
  /** Called for each read; without it, reads end when the test ends them. */
  onRead?: (read: Read) => void

  read(stack: number, expert: number, page: Uint8Array<ArrayBuffer>, signal?: AbortSignal): Promise<void> {
    expect(page).toHaveLength(PAGE)
    expect(this.reading.some(read => isSameMemory(read.page, page))).toBe(false)
    expect(this.reading.some(read => read.stack === stack && read.expert === expert)).toBe(false)
    this.reads++
    if (!this.slots.some(slot => isSameMemory(slot, page))) this.slots.push(page)
    page.fill(0xee)
    return new Promise((resolve, reject) => {
      const read: Read = {
        stack,
        expert,
        page,
        signal,
        end: error => {
          this.reading.splice(this.reading.indexOf(read), 1)
          if (error) return reject(error)
          page.fill(valueOf(stack, expert))
          resolve()
        },
      }
      this.reading.push(read)
      this.mostAtOnce = Math.max(this.mostAtOnce, this.reading.length)
      this.onRead?.(read)
    })
  }

  /** Ends all reads that are in progress. */
  endAll(): void {
    for (const read of this.reading.slice()) read.end()
  }

  traffic(): { disk: number; network: number } {
    return { disk: this.reads * PAGE, network: 0 }
  }

  async close(): Promise<void> {
    expect(this.reading).toEqual([])
    this.isClosed = true
  }
}

/** Lets everything run that can run without a timer. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Reads a fetch to its end, and checks each page when it is given and before the next one is asked for. */
async function indicesOf(
  pages: StackPages,
  stack: number,
  indices: readonly number[],
  sources?: readonly Int32Array[],
): Promise<number[]> {
  const given: number[] = []
  for await (const page of pages.fetch(indices, sources)) {
    checkPage(page, stack)
    await settle()
    checkPage(page, stack)
    given.push(page.index)
  }
  return given
}

function checkPage({ index, parts }: Page | AbsentPage, stack: number): void {
  const bytes = parts!.flatMap(({ data }) => [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)])
  expect(new Set(bytes)).toEqual(new Set([valueOf(stack, index)]))
}

let source: FakeSource
const pagerOf = (
  slots: number,
  options: Partial<ConstructorParameters<typeof Pager>[1]> = {},
  from = new FakeSource(),
): Pager => {
  source = from
  return new Pager(source, { memory: slots * PAGE, ...options })
}
const failure = (read: Pick<Read, 'stack' | 'expert'>): FileError =>
  new FileError(`model.safetensors: ${expertName(stacks[read.stack], read.expert)}: the file ends within it`)
afterEach(() => expect(source.mostAtOnce).toBeLessThanOrEqual(4))

describe('a pager gives', () => {
  it('parts as views of their dtypes, at their places in the page', async () => {
    const pager = pagerOf(2)
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
    const pager = pagerOf(8)
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
    const pager = pagerOf(4)
    const fetches = [[3, 1], [1], [1, 3]].map(indices => indicesOf(pager.pagesOf(2), 2, indices))
    await settle()
    source.endAll()
    expect(await Promise.all(fetches)).toEqual([[3, 1], [1], [3, 1]])
    expect(source.reads).toBe(2)
    expect(pager.statistics()[2]).toMatchObject({ hits: 3, misses: 2, bytes: 2 * PAGE })
  })

  it('more pages than there are slots in turns, in the memory of these slots', async () => {
    const pager = pagerOf(2)
    source.onRead = ({ end }) => setImmediate(end)
    const all = Array.from({ length: EXPERTS }, (_, i) => i)
    const fetches = [0, 1, 2].map(stack => indicesOf(pager.pagesOf(stack), stack, all))
    for (const given of await Promise.all(fetches)) expect(given.toSorted()).toEqual(all)
    expect(source.slots.length).toBe(2)
    expect(pager.memoryBytes).toBe(2 * PAGE)
  })

  it('pinned pages after one read, whatever else is asked for', async () => {
    const pager = pagerOf(2, { pinned: new Set([3]), policy: 'lru' })
    source.onRead = ({ end }) => end()
    for (const expert of [3, 0, 1, 2, 3]) await indicesOf(pager.pagesOf(0), 0, [expert])
    expect(pager.statistics()[0]).toMatchObject({ hits: 1, misses: 4 })
    expect(() => pagerOf(2, { pinned: new Set([3, 4]) })).toThrow(/2 pinned experts/)
  })

  it('progress: the layer, its experts, and the bytes so far', async () => {
    const seen: PagingProgress[] = []
    const pager = pagerOf(4, { onProgress: progress => seen.push(progress) })
    source.onRead = ({ end }) => end()
    await indicesOf(pager.pagesOf(2), 2, [6, 7])
    const layer = { stack: 'decoder', layer: 2, layers: 2, experts: 2 }
    expect(seen[0]).toEqual({ ...layer, given: 0, bytes: 0 })
    expect(seen.at(-1)).toEqual({ ...layer, given: 2, bytes: 2 * PAGE })
    await indicesOf(pager.pagesOf(0), 0, [1])
    expect(seen.at(-1)).toMatchObject({ stack: 'encoder', layer: 1, layers: 1 })
  })
})

describe('what programs keep beside a page', () => {
  /** Fetches one page, and keeps as many bytes beside it as a page has. */
  const keep = async (pager: Pager, expert: number): Promise<{ page: Page; isKept: boolean }> => {
    const given: { page: Page; isKept: boolean }[] = []
    for await (const page of pager.pagesOf(0).fetch([expert]))
      given.push({ page: page as Page, isKept: (page as Page).keep!(PAGE, () => freed.push(expert)) })
    return given[0]
  }
  let freed: number[]
  const pagerKeeping = (slots: number, pinned = new Set<number>()): Pager => {
    freed = []
    const pager = pagerOf(slots, { policy: 'lru', pinned }, new FakeSource(stacksIn('uint8')))
    source.onRead = ({ end }) => end()
    return pager
  }

  it('stays as long as the page, which is one object, and is freed once', async () => {
    const pager = pagerKeeping(4)
    const { page } = await keep(pager, 0)
    await keep(pager, 1)
    expect([source.reads, freed, pager.memoryBytes]).toEqual([2, [], 4 * PAGE])
    for await (const again of pager.pagesOf(0).fetch([0])) expect(again).toBe(page)
    await keep(pager, 2)
    expect(freed).toEqual([1])
    expect(pager.memoryBytes).toBe(4 * PAGE)
    await keep(pager, 3)
    expect(freed).toEqual([1, 0])
    expect((await keep(pager, 0)).page).not.toBe(page)
    await pager.close()
    expect(freed.toSorted()).toEqual([0, 0, 1, 2, 3])
  })

  it('takes the memory of pages that nobody uses, and of no others', async () => {
    const pager = pagerKeeping(3)
    await indicesOf(pager.pagesOf(1), 1, [5, 6])
    const kept: boolean[] = []
    for await (const page of pager.pagesOf(0).fetch([0, 1])) {
      await settle()
      kept.push((page as Page).keep!(2 * PAGE, () => freed.push(page.index)))
      expect(pager.memoryBytes).toBeLessThanOrEqual(3 * PAGE)
    }
    // Page 1 was in memory, and wanted, when page 0 asked; and it is all that is left when it asks itself.
    expect([kept, freed]).toEqual([[false, true], []])
    expect((await keep(pagerKeeping(1), 0)).isKept).toBe(false)
  })

  it('takes no memory of pages that lie in arenas, since that is not freed', async () => {
    const pager = pagerOf(4, { policy: 'lru' })
    freed = []
    source.onRead = ({ end }) => end()
    expect([(await keep(pager, 0)).isKept, (await keep(pager, 1)).isKept]).toEqual([true, true])
    expect((await keep(pager, 2)).isKept).toBe(true) // the room of page 0, which has left
    expect(freed).toEqual([0])
    await indicesOf(pager.pagesOf(1), 1, [5, 6, 7])
    expect((await keep(pager, 3)).isKept).toBe(false)
    expect(pager.memoryBytes).toBeLessThanOrEqual(4 * PAGE)
  })

  it('leaves room for pages that are not pinned', async () => {
    const pager = pagerKeeping(4, new Set([0, 1]))
    expect([(await keep(pager, 0)).isKept, (await keep(pager, 1)).isKept]).toEqual([true, false])
    expect(await indicesOf(pager.pagesOf(1), 1, [2, 3])).toEqual([2, 3])
    expect(freed).toEqual([])
  })
})

it('a memory without room for one expert is refused', () => {
  expect(() => new Pager(new FakeSource(), { memory: PAGE - 1 })).toThrow(/one expert takes 204 B, more than the 203 B/)
})

describe('a read that fails', () => {
  it('is tried again', async () => {
    const pager = pagerOf(2)
    source.onRead = read => read.end(source.reads < 3 ? failure(read) : undefined)
    expect(await indicesOf(pager.pagesOf(0), 0, [2])).toEqual([2])
    expect(source.reads).toBe(3)
  })

  it('three times is one error that names file, layer and expert; the slot is free, and a later fetch reads again', async () => {
    const pager = pagerOf(1)
    source.onRead = read => read.end(read.expert === 2 ? failure(read) : undefined)
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
    const pager = pagerOf(1)
    source.onRead = ({ end }) => end(new SwitchyardError('google/sparse: the hub has an error just now'))
    await expect(indicesOf(pager.pagesOf(1), 1, [0])).rejects.toThrow(/^google.sparse: the hub has an error just now$/)
    expect(source.reads).toBe(1)
  })

  it('with an error of the operating system is named, and with a bug is not tried again', async () => {
    const pager = pagerOf(1)
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

/** The rows of a pass that want each page: one for each. */
const rowsOf = (...rows: number[]): Int32Array[] => rows.map(row => Int32Array.of(row))

describe('readers of a pass that are independent of each other', () => {
  const readersOf = (): ExpertReaders<string> => new ExpertReaders(['a', 'b'], row => 'ab'[row])
  /** The pages of a fetch, with `-` before those that are left out. */
  const given = async (fetch: ReturnType<StackPages['fetch']>): Promise<string[]> => {
    const all: string[] = []
    for await (const { index, parts } of fetch) all.push(`${parts ? '' : '-'}${index}`)
    return all
  }

  it('fail if an expert that their rows want cannot be read; the others go on', async () => {
    const pager = pagerOf(8)
    source.onRead = read => read.end(read.expert === 1 ? failure(read) : undefined)
    const readers = readersOf()
    await pager.during(readers, async () => {
      const sources = [...rowsOf(0, 0, 1), Int32Array.of(0, 1)]
      const experts = await given(pager.pagesOf(0).fetch([0, 1, 2, 3], sources))
      expect(experts.toSorted()).toEqual(['-1', '0', '2', '3'])
      expect([readers.waits('a'), readers.waits('b')]).toEqual([false, true])
      expect(readers.failureOf('a')).toBeInstanceOf(FileError)
      // The failed reader's rows have no meaning from now on.
      const reads = source.reads
      expect(await given(pager.pagesOf(1).fetch([4, 5], rowsOf(0, 1)))).toEqual(['-4', '5'])
      expect(source.reads).toBe(reads + 1)
      readers.leave('b')
      await expect(given(pager.pagesOf(1).fetch([6], rowsOf(1)))).rejects.toBe(readers.failureOf('a'))
    })
  })

  it('have nothing read any more that only those who left want', async () => {
    const pager = pagerOf(3)
    const readers = readersOf()
    const sources = [Int32Array.of(0), Int32Array.of(0, 1), ...rowsOf(1, 0)]
    const pages = pager.during(readers, () => given(pager.pagesOf(0).fetch([0, 1, 2, 3], sources)))
    await settle()
    const ofA = source.reading.find(({ expert }) => expert === 0)!
    readers.leave('a')
    expect(source.reading.map(({ signal }) => signal!.aborted)).toEqual([true, false, false])
    ofA.end(new Error('aborted'))
    source.onRead = read => read.end()
    source.endAll()
    expect((await pages).toSorted()).toEqual(['-0', '-3', '1', '2'])
    expect(source.reads).toBe(3)
    expect(pager.statistics()[0]).toMatchObject({ hits: 0, misses: 3, bytes: 2 * PAGE })
  })

  it('have a pass to themselves: the next one waits, and is not run if its readers have left meanwhile', async () => {
    const pager = pagerOf(3)
    const passes = ['a', 'b', 'c'].map(name => {
      const readers = new ExpertReaders([name], () => name)
      return { readers, result: pager.during(readers, () => given(pager.pagesOf(0).fetch([0], rowsOf(0)))) }
    })
    passes[1].result.catch(() => undefined)
    await settle()
    expect(source.reading).toHaveLength(1)
    passes[1].readers.leave('b')
    source.reading[0].end(new SwitchyardError('no network'))
    await expect(passes[0].result).rejects.toThrow('no network')
    await expect(passes[1].result).rejects.toThrow('every request of this pass has ended')
    await settle()
    source.endAll()
    expect(await passes[2].result).toEqual(['0'])
    expect(passes[2].readers.waits('c')).toBe(true)
  })

  it('share a read with other fetches, for which it goes on', async () => {
    const pager = pagerOf(3)
    const readers = readersOf()
    const pass = pager.during(readers, () => given(pager.pagesOf(0).fetch([0, 1], rowsOf(0, 1))))
    const other = given(pager.pagesOf(0).fetch([0]))
    await settle()
    readers.leave('a')
    expect(source.reading.some(({ signal }) => signal!.aborted)).toBe(false)
    source.endAll()
    expect(await pass).toEqual(['-0', '1'])
    expect(await other).toEqual(['0'])
  })
})

describe('a fetch that ends early', () => {
  it('because all its readers have left rejects at once, ends its reads, and starts no others', async () => {
    const pager = pagerOf(2)
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
    const pager = pagerOf(2)
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
    const pager = pagerOf(2)
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
      const pager = pagerOf(slots, { policy })
      source.onRead = read => {
        const end = (): void => read.end(random() < 0.05 ? failure(read) : undefined)
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
    const pager = pagerOf(5, { policy })
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
