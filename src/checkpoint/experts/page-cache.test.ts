import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FileError } from '../../base/errors.js'
import * as atomic from '../atomic.js'
import { PageCache } from './page-cache.js'

vi.mock('../atomic.js', { spy: true })

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pages-'))
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(folder, { recursive: true })
})

const PAGE = 1000
const page = (value: number): Uint8Array => new Uint8Array(PAGE).fill(value)
/** The value that fills a page of the cache, or null. */
async function valueOf(cache: PageCache, name: string): Promise<number | null> {
  const into = new Uint8Array(PAGE)
  return (await cache.read(name, into)) ? into[PAGE - 1] : null
}
/** Sets when a page was last used, in seconds since 1970. */
const setUse = (name: string, seconds: number): Promise<void> => utimes(join(folder, `${name}.page`), seconds, seconds)

describe('PageCache', () => {
  it('keeps pages for later processes', async () => {
    await new PageCache(folder, 1e6).write('encoder/layers_1/7', page(3))
    const later = new PageCache(folder, 1e6)
    expect(await valueOf(later, 'encoder/layers_1/7')).toBe(3)
    expect(await valueOf(later, 'encoder/layers_1/8')).toBeNull()
  })

  it('treats a damaged or cut page as missing, and deletes it', async () => {
    await new PageCache(folder, 1e6).write('a', page(1))
    await new PageCache(folder, 1e6).write('b', page(1))
    const bytes = await readFile(join(folder, 'a.page'))
    bytes[500] ^= 1
    await writeFile(join(folder, 'a.page'), bytes)
    await writeFile(join(folder, 'b.page'), bytes.subarray(0, 900))
    const cache = new PageCache(folder, 1e6)
    expect([await valueOf(cache, 'a'), await valueOf(cache, 'b')]).toEqual([null, null])
    expect(await readdir(folder)).toEqual([])
    await cache.write('a', page(2))
    expect(await valueOf(cache, 'a')).toBe(2)
  })

  it('deletes the pages that were not used for the longest time, also those of another process', async () => {
    const other = new PageCache(folder, 10 * PAGE)
    for (let i = 0; i < 9; i++) {
      await other.write(`p${i}`, page(i))
      await setUse(`p${i}`, 1000 + i)
    }
    const cache = new PageCache(folder, 10 * PAGE)
    expect(await valueOf(cache, 'p0')).toBe(0)
    await cache.write('new', page(9))
    const there = (await readdir(folder)).sort()
    expect(there).toContain('p0.page')
    expect(there).toContain('new.page')
    expect(there).not.toContain('p1.page')
    expect(there.length * (PAGE + 4)).toBeLessThanOrEqual(10 * PAGE)
    expect(await valueOf(other, 'p1')).toBeNull()
  })

  it('never holds more than its limit when two processes write', async () => {
    const caches = [new PageCache(folder, 20 * PAGE), new PageCache(folder, 20 * PAGE)]
    for (let i = 0; i < 60; i++) await caches[i % 2].write(`p${i}`, page(i))
    expect((await readdir(folder)).length).toBeLessThanOrEqual(20)
  })

  it('deletes the pages of one folder after all others, and only for its own pages', async () => {
    const cache = new PageCache(folder, 4 * (PAGE + 4), { keptLonger: 'dense' })
    const [dense, experts] = [cache.under('dense'), cache.under('experts')]
    const stored = async (): Promise<string[]> =>
      (await readdir(folder, { recursive: true })).filter(name => name.endsWith('.page')).sort()
    await dense.write('a', page(1))
    await dense.write('b', page(2))
    for (let i = 0; i < 5; i++) await experts.write(`e${i}`, page(i))
    expect(await stored()).toEqual(['dense/a.page', 'dense/b.page', 'experts/e4.page'])
    for (const name of ['c', 'd', 'e']) await dense.write(name, page(3))
    const last = ['dense/b.page', 'dense/c.page', 'dense/d.page', 'dense/e.page']
    expect(await stored()).toEqual(last)
    await experts.write('f', page(4))
    expect(await stored()).toEqual(last)
  })

  it('makes room when the disk is full, and does without a page when that does not help', async () => {
    const cache = new PageCache(folder, 1e6)
    for (const name of ['a', 'b', 'c']) await cache.write(name, page(1))
    await setUse('a', 1)
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    vi.mocked(atomic.writeFileAtomically).mockRejectedValueOnce(full)
    const fresh = new PageCache(folder, 1e6)
    await fresh.write('d', page(4))
    expect([await valueOf(fresh, 'a'), await valueOf(fresh, 'd')]).toEqual([null, 4])
    vi.mocked(atomic.writeFileAtomically).mockRejectedValue(full)
    await fresh.write('e', page(5))
    expect(await valueOf(fresh, 'e')).toBeNull()
  })

  it('does without a folder that cannot be written, and says so once, if asked to', async () => {
    vi.mocked(atomic.writeFileAtomically).mockRejectedValue(new FileError('pages/a.page: permission denied'))
    await expect(new PageCache(folder, 1e6).write('a', page(1))).rejects.toThrow('permission denied')
    const notices: string[] = []
    const cache = new PageCache(folder, 1e6, { onUnwritable: notice => notices.push(notice) })
    for (const name of ['a', 'b']) await cache.write(name, page(1))
    expect(await valueOf(cache, 'a')).toBeNull()
    expect(notices).toEqual(['pages/a.page: permission denied: what is read is not kept there'])
  })

  it('does not store a page that is larger than the limit', async () => {
    const cache = new PageCache(folder, PAGE)
    await cache.write('a', page(1))
    expect(await valueOf(cache, 'a')).toBeNull()
  })
})
