import { describe, expect, it } from 'vitest'
import { FakeSource, indicesOf, openPager, PAGE, settle, stacksIn } from '../../../test/fake-expert-source.js'
import type { Page } from '../../engine/compile/paged/pages.js'
import type { Pager } from './pager.js'

describe('what programs keep beside a page', () => {
  /** Fetches one page, and keeps as many bytes beside it as a page has. */
  const keep = async (pager: Pager, expert: number): Promise<{ page: Page; isKept: boolean }> => {
    const given: { page: Page; isKept: boolean }[] = []
    for await (const page of pager.pagesOf(0).fetch([expert]))
      given.push({ page: page as Page, isKept: (page as Page).keep!(PAGE, () => freed.push(expert)) })
    return given[0]
  }
  let freed: number[]
  const pagerKeeping = (slots: number, pinned = new Set<number>()): ReturnType<typeof openPager> => {
    freed = []
    const opened = openPager(slots, { policy: 'lru', pinned }, new FakeSource(stacksIn('uint8')))
    opened.source.onRead = ({ end }) => end()
    return opened
  }

  it('stays as long as the page, which is one object, and is freed once', async () => {
    const { pager, source } = pagerKeeping(4)
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
    const { pager } = pagerKeeping(3)
    await indicesOf(pager.pagesOf(1), 1, [5, 6])
    const kept: boolean[] = []
    for await (const page of pager.pagesOf(0).fetch([0, 1])) {
      await settle()
      kept.push((page as Page).keep!(2 * PAGE, () => freed.push(page.index)))
      expect(pager.memoryBytes).toBeLessThanOrEqual(3 * PAGE)
    }
    // Page 1 was in memory, and wanted, when page 0 asked; and it is all that is left when it asks itself.
    expect([kept, freed]).toEqual([[false, true], []])
    expect((await keep(pagerKeeping(1).pager, 0)).isKept).toBe(false)
  })

  it('takes no memory of pages that lie in arenas, since that is not freed', async () => {
    const { pager, source } = openPager(4, { policy: 'lru' })
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
    const { pager } = pagerKeeping(4, new Set([0, 1]))
    expect([(await keep(pager, 0)).isKept, (await keep(pager, 1)).isKept]).toEqual([true, false])
    expect(await indicesOf(pager.pagesOf(1), 1, [2, 3])).toEqual([2, 3])
    expect(freed).toEqual([])
  })
})
