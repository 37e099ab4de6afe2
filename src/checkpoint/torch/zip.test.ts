import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeZip } from '../../../test/conformance/torch-file.js'
import type { Entry } from '../../../test/conformance/torch-file.js'
import { FileError } from '../../base/errors.js'
import { readExactly } from '../byte-source.js'
import { openFile } from '../files.js'
import { ZipArchive } from './zip.js'

let scratch: string
let count = 0
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-zip-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const data = (text: string): Uint8Array => Buffer.from(text)

/** Every entry's data, as text. */
async function readZip(path: string): Promise<Record<string, string>> {
  const file = await openFile(path)
  try {
    const archive = await ZipArchive.open(file)
    const texts: Record<string, string> = {}
    for (const entry of archive.entries.values()) {
      texts[entry.name] = Buffer.from(
        await readExactly(file, await archive.dataStart(entry), Math.min(entry.bytes, 100), entry.name),
      ).toString()
    }
    return texts
  } finally {
    await file.close()
  }
}

async function zipOf(
  entries: readonly Entry[],
  change: (bytes: Buffer) => Buffer | undefined = () => undefined,
  zip64 = false,
): Promise<string> {
  const path = join(scratch, `${count++}.zip`)
  await writeZip(path, entries, zip64)
  const changed = change(await readFile(path))
  if (changed) await writeFile(path, changed)
  return path
}

const second = 'ü'.repeat(30)
const two: Entry[] = [
  { name: 'a/b', data: data('one') },
  { name: second, data: data('second') },
]

describe('ZipArchive', () => {
  it.each([false, true])('reads stored entries (all numbers zip64: %s)', async zip64 => {
    expect(await readZip(await zipOf(two, undefined, zip64))).toEqual({ 'a/b': 'one', [second]: 'second' })
  })

  it('reads an archive with a comment, and an empty one', async () => {
    const path = await zipOf(two, bytes => {
      bytes.writeUInt16LE(3, bytes.length - 2)
      return Buffer.concat([bytes, data('abc')])
    })
    expect(Object.keys(await readZip(path))).toHaveLength(2)
    expect(await readZip(await zipOf([]))).toEqual({})
  })

  it('reads entries that are larger than 2 and 4 GiB, and entries behind those marks', async () => {
    const path = join(scratch, 'sparse.zip') // zeros take no room on the disk
    await writeZip(path, [
      { name: 'half', bytes: 2 ** 31 + 5 },
      { name: 'behind 2 GiB', data: data('two') },
      { name: 'big', bytes: 2 ** 32 + 5 },
      { name: 'behind 6 GiB', data: data('six') },
    ])
    const texts = await readZip(path)
    expect([texts['behind 2 GiB'], texts['behind 6 GiB']]).toEqual(['two', 'six'])
    const file = await openFile(path)
    const { entries } = await ZipArchive.open(file)
    expect(entries.get('big')!.bytes).toBe(2 ** 32 + 5)
    expect(entries.get('behind 6 GiB')!.begin).toBeGreaterThan(6 * 2 ** 30)
    await file.close()
    await rm(path)
  })

  /** Where the directory's first record, and the end record, stand. */
  const central = (bytes: Buffer): number => bytes.indexOf('PK\x01\x02', 0, 'latin1')
  const end = (bytes: Buffer): number => bytes.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  const put16 =
    (where: (bytes: Buffer) => number, offset: number, value: number) =>
    (bytes: Buffer): Buffer => (bytes.writeUInt16LE(value, where(bytes) + offset), bytes)
  const put32 =
    (where: (bytes: Buffer) => number, offset: number, value: number) =>
    (bytes: Buffer): Buffer => (bytes.writeUInt32LE(value, where(bytes) + offset), bytes)
  const start = (): number => 0

  it.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    ['another file', () => Buffer.alloc(1000), /no zip archive/],
    ['an end that is cut off', bytes => bytes.subarray(0, -1), /its end is missing/],
    ['bytes after the end', bytes => Buffer.concat([bytes, data('x')]), /its end is missing/],
    ['bytes before the start', bytes => Buffer.concat([data('x'), bytes]), /directory should end at byte/],
    ['a second disk', put16(end, 4, 1), /one part of an archive/],
    [
      'more entries than there are',
      bytes => put16(end, 8, 3)(put16(end, 10, 3)(bytes)),
      /entry 3 of the archive's directory is broken/,
    ],
    [
      'far more entries than can be',
      bytes => put16(end, 8, 60000)(put16(end, 10, 60000)(bytes)),
      /claims 60,000 entries/,
    ],
    [
      'fewer entries than there are',
      bytes => put16(end, 8, 1)(put16(end, 10, 1)(bytes)),
      /goes on after its last entry/,
    ],
    ['a directory elsewhere', put32(end, 16, 5), /directory should end/],
    ['a directory past the file', put32(end, 16, 0x7fffffff), /directory should end/],
    ['a broken record', put32(central, 0, 0), /entry 1 of the archive's directory is broken/],
    ['a name past the directory', put16(central, 28, 60000), /entry 1 of the archive's directory is broken/],
    ['an encrypted entry', put16(central, 8, 1), /"a\/b" is encrypted/],
    ['a compressed entry', put16(central, 10, 8), /"a\/b" is compressed/],
    ['two sizes', put32(central, 20, 2), /"a\/b" is stored and has two sizes/],
    [
      'a size past the next entry',
      bytes => put32(central, 20, 200)(put32(central, 24, 200)(bytes)),
      /"a\/b" of 200 bytes does not fit/,
    ],
    ['a place past the directory', put32(central, 42, 0x7fffffff), /"a\/b" of 3 bytes does not fit/],
    [
      'a zip64 size without its field',
      bytes => put32(central, 20, 0xffffffff)(put32(central, 24, 0xffffffff)(bytes)),
      /entry 1 of the archive's directory is broken/,
    ],
    ['a local header that is none', put32(start, 0, 0), /header of entry "a\/b" is not what/],
    ['a local header of another name', put16(start, 30, 0x6161), /header of entry "a\/b" is not what/],
    ['a local header that compresses', put16(start, 8, 8), /header of entry "a\/b" is not what/],
    ['a local header that moves the data', put16(start, 28, 60000), /header of entry "a\/b" is not what/],
  ])('refuses %s', async (_, change, message) => {
    const path = await zipOf(two, change)
    const error: unknown = await readZip(path).then(
      () => undefined,
      (e: unknown) => e,
    )
    expect(error).toBeInstanceOf(FileError)
    expect((error as FileError).message).toMatch(message)
    expect((error as FileError).message.startsWith(path)).toBe(true)
  })

  it('refuses zip64 numbers that are too large, and an end record that is elsewhere', async () => {
    const end64 = (bytes: Buffer): number => bytes.lastIndexOf('PK\x06\x06', undefined, 'latin1')
    const huge =
      (offset: number) =>
      (bytes: Buffer): Buffer => (bytes.writeBigUInt64LE(2n ** 63n, end64(bytes) + offset), bytes)
    await expect(readZip(await zipOf(two, huge(48), true))).rejects.toThrow(
      /9,223,372,036,854,775,808 bytes: the file is broken or malicious/,
    )
    await expect(readZip(await zipOf(two, put32(end64, 0, 0), true))).rejects.toThrow(/zip64 end record is not where/)
    const locator = (bytes: Buffer): number => bytes.lastIndexOf('PK\x06\x07', undefined, 'latin1')
    await expect(readZip(await zipOf(two, put32(locator, 8, 1), true))).rejects.toThrow(/zip64 end record is not where/)
    const manyEntries = (bytes: Buffer): Buffer => {
      for (const offset of [24, 32]) bytes.writeBigUInt64LE(2n ** 40n, end64(bytes) + offset)
      return bytes
    }
    await expect(readZip(await zipOf(two, manyEntries, true))).rejects.toThrow(/claims 1,099,511,627,776 entries/)
  })

  it.each(['../a', 'a/../../b', '/etc/passwd', 'C:\\a', 'a\\..\\b', 'C:/a', '', 'a\0b'])(
    'refuses the name %j',
    async name => {
      await expect(readZip(await zipOf([{ name, data: data('x') }]))).rejects.toThrow(/leads out of the archive/)
    },
  )

  it('refuses two entries of one name, or at one place', async () => {
    await expect(readZip(await zipOf([two[0], two[0]]))).rejects.toThrow(/two entries "a\/b"/)
    const samePlace = (bytes: Buffer): Buffer => (
      bytes.writeUInt32LE(0, bytes.lastIndexOf('PK\x01\x02', undefined, 'latin1') + 42),
      bytes
    )
    await expect(readZip(await zipOf(two, samePlace))).rejects.toThrow(/does not fit/)
  })

  it('refuses a directory that is too large before reading it', async () => {
    const path = join(scratch, 'large-directory.zip')
    const handle = await open(path, 'w') // 4 GB of zeros as a directory
    const size = 4_000_000_000
    const record = Buffer.alloc(22)
    record.writeUInt32LE(0x06054b50, 0)
    record.writeUInt16LE(1, 8)
    record.writeUInt16LE(1, 10)
    record.writeUInt32LE(size, 12)
    await handle.write(record, 0, 22, size)
    await handle.close()
    await expect(readZip(path)).rejects.toThrow(/directory has 1 entries in 3\.73 GiB, more than Switchyard reads/)
    await rm(path)
  })
})
