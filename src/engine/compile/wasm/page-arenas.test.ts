import { afterEach, expect, it, vi } from 'vitest'
import { PageArenas, pageArenaOf, SCRATCH_BYTES } from './page-arenas.js'

afterEach(() => vi.unstubAllGlobals())

const MIB = 2 ** 20

/**
 * Lets memories of more than `most` bytes be refused, as an operating system does. Returns the sizes that were tried.
 */
function limitMemories(most: number): number[] {
  const tried: number[] = []
  class Memory extends WebAssembly.Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      tried.push(descriptor.initial * 65536)
      if (descriptor.initial * 65536 > most) throw new RangeError('could not allocate memory')
      super(descriptor)
    }
  }
  vi.stubGlobal('WebAssembly', { ...WebAssembly, Memory })
  return tried
}

it('pages lie behind the scratch space of one memory, which has room for all', () => {
  const tried = limitMemories(Infinity)
  const arenas = new PageArenas(3 * MIB)
  const pages = [MIB, MIB - 10, MIB].map(bytes => arenas.allocate(bytes))
  expect(pages.map(({ byteOffset, byteLength }) => [byteOffset - SCRATCH_BYTES, byteLength])).toEqual([
    [0, MIB],
    [MIB, MIB - 10],
    [2 * MIB, MIB],
  ])
  expect(new Set(pages.map(pageArenaOf)).size).toBe(1)
  expect(tried).toEqual([4 * MIB])
})

it('a memory that cannot be had is replaced by smaller ones', () => {
  const tried = limitMemories(5 * MIB)
  const arenas = new PageArenas(15 * MIB)
  const pages = Array.from({ length: 15 }, () => arenas.allocate(MIB))
  expect(tried.slice(0, 3)).toEqual([16 * MIB, 8 * MIB, 4 * MIB])
  const used = new Set(pages.map(pageArenaOf))
  expect(used).not.toContain(undefined)
  expect(used.size).toBeGreaterThan(1)
  // No two pages lie at one place, and none in the scratch space or behind the end.
  for (const arena of used) {
    const places = pages.filter(page => pageArenaOf(page) === arena).map(page => page.byteOffset)
    expect(places).toEqual(places.map((_, i) => SCRATCH_BYTES + i * MIB))
    expect(SCRATCH_BYTES + places.length * MIB).toBeLessThanOrEqual(arena!.memory.buffer.byteLength)
  }
})

it('pages are in ordinary memory if there is not even one for a page', () => {
  const tried = limitMemories(MIB)
  const page = new PageArenas(8 * MIB).allocate(MIB)
  expect(page).toHaveLength(MIB)
  expect(pageArenaOf(page)).toBeUndefined()
  expect(tried.at(-1)).toBe(2 * MIB)
})
