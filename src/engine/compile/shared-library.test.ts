import { copyFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadKoffi } from './koffi.js'
import type { Koffi } from './koffi.js'
import { loadLibrary } from './shared-library.js'

let folder: string
let koffi: Koffi
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'libraries-'))
  koffi = await loadKoffi()
})
afterAll(() => rmSync(folder, { recursive: true }))

describe.skipIf(process.platform !== 'linux')('a shared library', () => {
  // Node itself is an ELF file, and a position-independent program has the form of a library.
  it.each([20, 1000, 100_000, 10_000_000])('of which %s bytes are left is refused before it is mapped', bytes => {
    const path = join(folder, 'library.so')
    copyFileSync(process.execPath, path)
    truncateSync(path, bytes)
    // The system itself refuses a file without a whole header.
    expect(() => loadLibrary(koffi, path)).toThrow(
      bytes < 64 ? 'Failed to load shared library' : `the file is cut off, it has ${bytes} bytes of at least`,
    )
  })

  it('that is something else is left to the system to refuse', () => {
    const path = join(folder, 'text.so')
    writeFileSync(path, 'no library'.repeat(100))
    expect(() => loadLibrary(koffi, path)).toThrow('Failed to load shared library')
    expect(() => loadLibrary(koffi, join(folder, 'missing.so'))).toThrow('ENOENT')
  })
})
