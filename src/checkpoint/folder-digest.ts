import { createHash } from 'node:crypto'
import { open, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { withPath } from './files.js'

/** So many bytes are read at the beginning and at the end of a file. */
const READ_BYTES = 1 << 16

/**
 * A hash that tells the content of two folders apart, fast for files of any size: of the names and sizes of all files,
 * and of the first and the last 64 KiB of each. Checkpoints differ there, because training changes every parameter.
 * Files whose paths begin with `except` are left out.
 */
export async function folderDigest(folder: string, except?: string): Promise<string> {
  const hash = createHash('sha256')
  const names = await withPath(folder, () => readdir(folder, { recursive: true }))
  for (const name of names.sort()) {
    const path = join(folder, name)
    if (except !== undefined && resolve(path).startsWith(resolve(except))) continue
    await withPath(path, async () => {
      if (!(await stat(path)).isFile()) return
      const handle = await open(path)
      try {
        const { size } = await handle.stat()
        hash.update(JSON.stringify([name, size]))
        for (const start of size > READ_BYTES ? [0, Math.max(READ_BYTES, size - READ_BYTES)] : [0]) {
          const { buffer, bytesRead } = await handle.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, start)
          hash.update(buffer.subarray(0, bytesRead))
        }
      } finally {
        await handle.close()
      }
    })
  }
  return hash.digest('hex')
}
