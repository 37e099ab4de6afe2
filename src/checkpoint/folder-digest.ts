import { createHash } from 'node:crypto'
import { open, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { withPath } from './files.js'

const BLOCK_BYTES = 1 << 16
/** So many blocks of a file are read. */
const MOST_BLOCKS = 256

/**
 * A hash that tells the content of two folders apart, fast for files of any size: of the names and sizes of all files,
 * and of their bytes. Of a file of more than 16 MiB it reads 256 blocks of 64 KiB, spread evenly from its beginning to
 * its end: it may miss a change that fits between two of them. In a native checkpoint it misses none, because the
 * checksums of all tensors are in a small file. `except` are the paths of files that are left out.
 */
export async function folderDigest(folder: string, except: readonly string[] = []): Promise<string> {
  const hash = createHash('sha256')
  const left = new Set(except.map(path => resolve(path)))
  const block = Buffer.alloc(BLOCK_BYTES)
  const names = await withPath(folder, () => readdir(folder, { recursive: true }))
  for (const name of names.sort()) {
    const path = join(folder, name)
    if (left.has(resolve(path))) continue
    await withPath(path, async () => {
      if (!(await stat(path)).isFile()) return
      const handle = await open(path)
      try {
        const { size } = await handle.stat()
        hash.update(JSON.stringify([name, size]))
        for (const start of blockStarts(size)) {
          const { bytesRead } = await handle.read(block, 0, BLOCK_BYTES, start)
          hash.update(block.subarray(0, bytesRead))
        }
      } finally {
        await handle.close()
      }
    })
  }
  return hash.digest('hex')
}

/** Where the blocks that are read begin: all of a file, or `MOST_BLOCKS` from its beginning to its end. */
function blockStarts(size: number): number[] {
  const all = Math.ceil(size / BLOCK_BYTES)
  if (all <= MOST_BLOCKS) return Array.from({ length: all }, (_, i) => i * BLOCK_BYTES)
  const step = (size - BLOCK_BYTES) / (MOST_BLOCKS - 1)
  return Array.from({ length: MOST_BLOCKS }, (_, i) => Math.round(i * step))
}
