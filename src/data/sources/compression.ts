import { createReadStream, createWriteStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { FileError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import { errorCode, withPath } from '../../base/system-errors.js'
import { LongWork } from '../long-work.js'
import { cachedCopy } from './cache.js'

/** A compressed file may not grow to more than this, which protects the disk from a file made to fill it. */
const MAX_UNPACKED_BYTES = 2 ** 38

/** Formats that cannot be read. They are told by their first bytes; the advice says what to do with a file of each. */
const refused: readonly (readonly [name: string, magic: readonly number[], advice: string])[] = [
  ['a ZIP archive (or an Excel workbook)', [0x50, 0x4b, 3, 4], 'unpack it, or save the sheet as CSV'],
  ['compressed by zstd', [0x28, 0xb5, 0x2f, 0xfd], 'unpack it with unzstd'],
  ['compressed by bzip2', [0x42, 0x5a, 0x68], 'unpack it with bunzip2'],
  ['text in UTF-16', [0xff, 0xfe], 'save it as UTF-8 text'],
  ['text in UTF-16', [0xfe, 0xff], 'save it as UTF-8 text'],
  ['compressed by xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a], 'unpack it with unxz'],
]

/** A file that can be read at any position. */
export interface PlainFile {
  readonly path: string
  readonly note?: string
}

/**
 * The file itself, or an unpacked copy in the cache if it is compressed by gzip, because gzip can be read from its
 * beginning only. Throws a FileError for other kinds of compression.
 */
export async function unpacked(path: string): Promise<PlainFile> {
  const first = await firstBytes(path)
  const starts = (magic: readonly number[]): boolean => magic.every((byte, i) => first[i] === byte)
  for (const [name, magic, advice] of refused) {
    if (starts(magic)) throw new FileError(`${path}: this file is ${name}: ${advice}`)
  }
  if (!starts([0x1f, 0x8b])) return { path }
  const copy = await cachedCopy(resolve(path), 'gunzip', to => gunzip(path, to))
  const how = copy.made ? 'was unpacked to' : 'is read from its unpacked copy'
  return { path: copy.path, note: `${path} ${how} ${copy.path}: gzip has no random access` }
}

async function gunzip(from: string, to: string): Promise<void> {
  const work = new LongWork(`unpacking ${from}`, (await stat(from)).size, 'bytes')
  let size = 0
  const input = createReadStream(from)
  const limit = new Transform({
    transform(chunk: Uint8Array, _, done) {
      size += chunk.length
      work.at(input.bytesRead)
      done(
        size > MAX_UNPACKED_BYTES
          ? new FileError(`${from}: larger than ${formatBytes(MAX_UNPACKED_BYTES)} when it is unpacked`)
          : null,
        chunk,
      )
    },
  })
  try {
    await pipeline(input, createGunzip(), limit, createWriteStream(to, { flags: 'wx' }))
  } catch (error) {
    if (errorCode(error)?.startsWith('Z_'))
      throw new FileError(`${from}: the gzip data is damaged or cut off: ${(error as Error).message}`, { cause: error })
    await withPath(errorCode(error) === 'ENOSPC' ? to : from, () => Promise.reject(error as Error))
  } finally {
    work.end()
  }
}

async function firstBytes(path: string): Promise<Uint8Array> {
  return withPath(path, async () => {
    const handle = await open(path)
    try {
      const bytes = new Uint8Array(8)
      const { bytesRead } = await handle.read(bytes, 0, 8, 0)
      return bytes.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  })
}
