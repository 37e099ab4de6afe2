import type { FileHandle } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { writeConcatenated } from './files.js'

describe('writeConcatenated', () => {
  it('goes on where a write ended early, over the borders of the arrays', async () => {
    const disk = new Uint8Array(12)
    const sizes = [1, 4, 2, 3]
    // A handle that writes at most a given number of bytes a call, as a system does at a limit or after a signal.
    const writev = (views: readonly Uint8Array[], position: number): Promise<{ bytesWritten: number }> => {
      const bytes = Uint8Array.from(views.flatMap(view => [...view])).subarray(0, sizes.shift())
      disk.set(bytes, position)
      return Promise.resolve({ bytesWritten: bytes.length })
    }
    const parts = [[1, 2, 3], [], [4], [5, 6, 7, 8, 9, 10]].map(part => Uint8Array.from(part))
    await writeConcatenated({ writev } as unknown as FileHandle, parts, 2)
    expect([...disk]).toEqual([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(sizes).toEqual([])
  })
})
