import { describe, expect, it } from 'vitest'
import { failureOf, openPager, PAGE, rowsOf, settle } from '../../../test/fake-expert-source.js'
import { FileError, SwitchyardError } from '../../base/errors.js'
import type { StackPages } from './pager.js'
import { ExpertReaders } from './readers.js'

describe('readers of a pass that are independent of each other', () => {
  const readersOf = (): ExpertReaders<string> => new ExpertReaders(['a', 'b'], row => 'ab'[row])
  /** The pages of a fetch, with `-` before those that are left out. */
  const given = async (fetch: ReturnType<StackPages['fetch']>): Promise<string[]> => {
    const all: string[] = []
    for await (const { index, parts } of fetch) all.push(`${parts ? '' : '-'}${index}`)
    return all
  }

  it('fail if an expert that their rows want cannot be read; the others go on', async () => {
    const { pager, source } = openPager(8)
    source.onRead = read => read.end(read.expert === 1 ? failureOf(read) : undefined)
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
    const { pager, source } = openPager(3)
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
    const { pager, source } = openPager(3)
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
    const { pager, source } = openPager(3)
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
