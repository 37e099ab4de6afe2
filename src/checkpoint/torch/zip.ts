import { FileError } from '../../base/errors.js'
import { formatBytes, formatCount } from '../../base/format.js'
import { decodeUtf8, readExactly, sameBytes } from '../byte-source.js'
import type { ByteSource } from '../byte-source.js'
import { quote } from '../format.js'

// The part of the zip format (PKWARE's APPNOTE 6.3) that torch.save writes: stored entries, zip64 where a number needs
// it. From the end of the file: the end record points to the central directory, whose records point to the entries,
// each a local header before its data. Checksums are not compared, since torch can be told not to write them.

const endSignature = 0x06054b50
const end64Signature = 0x06064b50
const locatorSignature = 0x07064b50
const centralSignature = 0x02014b50
const localSignature = 0x04034b50
const endBytes = 22
const end64Bytes = 56
const locatorBytes = 20
const centralBytes = 46
const localBytes = 30
/** Between an entry's header and its data. torch aligns the data with them. */
const MAX_EXTRA_BYTES = 0xffff
const maxCommentBytes = 0xffff

/** Our own limits. A directory of that many entries has about half of that size. */
const maxDirectoryBytes = 64 * 2 ** 20
const maxEntries = 300_000

const copyAgain = 'the file is broken, copy or download it again'

/** One stored entry. */
export interface ZipEntry {
  readonly name: string
  readonly bytes: number
  /** The offset of its local header, and the offset of the next entry or of the directory. */
  readonly begin: number
  readonly limit: number
}

/**
 * An archive whose directory is read and checked: no name leaves the archive, no entry leaves the file or overlaps
 * another.
 */
export class ZipArchive {
  private constructor(
    private readonly source: ByteSource,
    readonly entries: ReadonlyMap<string, ZipEntry>,
  ) {}

  /** Reads the archive's directory. The caller closes the source. */
  static async open(source: ByteSource): Promise<ZipArchive> {
    const { path } = source
    const directory = await findDirectory(source)
    if (directory.bytes > maxDirectoryBytes || directory.count > maxEntries) {
      throw new FileError(
        `${path}: its directory has ${formatCount(directory.count)} entries in ${formatBytes(directory.bytes)}, more than Switchyard reads: ` +
          'this is not an honest file; if it is, split it',
      )
    }
    const bytes = await readExactly(source, directory.begin, directory.bytes, "the archive's directory")
    return new ZipArchive(source, parseDirectory(path, bytes, directory))
  }

  /** The offset of an entry's data, from the entry's own header. Throws unless that agrees with the directory. */
  async dataStart(entry: ZipEntry): Promise<number> {
    const bytes = localBytes + new TextEncoder().encode(entry.name).length
    const what = `the header of entry ${quote(entry.name)}`
    return this.dataStartIn(entry, await readExactly(this.source, entry.begin, bytes, what))
  }

  /** As `dataStart`, from bytes of the file that begin with the entry's header. */
  dataStartIn(entry: ZipEntry, header: Uint8Array): number {
    const { path } = this.source
    const what = `the header of entry ${quote(entry.name)}`
    const nameBytes = new TextEncoder().encode(entry.name)
    const view = viewOf(header)
    const wrong = (): FileError =>
      new FileError(`${path}: ${what} is not what the archive's directory says: ${copyAgain}`)
    if (
      view.getUint32(0, true) !== localSignature ||
      view.getUint16(8, true) !== 0 ||
      view.getUint16(26, true) !== nameBytes.length
    )
      throw wrong()
    if (!sameBytes(nameBytes, new Uint8Array(view.buffer, view.byteOffset + localBytes, nameBytes.length)))
      throw wrong()
    const start = entry.begin + localBytes + nameBytes.length + view.getUint16(28, true)
    if (start + entry.bytes > entry.limit) throw wrong()
    return start
  }
}

/** The end of the range that surely holds an entry's header and data: an entry's header has at most that many bytes. */
export const endOf = ({ name, begin, bytes, limit }: ZipEntry): number =>
  Math.min(limit, begin + localBytes + new TextEncoder().encode(name).length + MAX_EXTRA_BYTES + bytes)

interface Directory {
  readonly begin: number
  readonly bytes: number
  readonly count: number
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  const { path, size: fileBytes } = source
  const tailBytes = Math.min(fileBytes, endBytes + maxCommentBytes + locatorBytes)
  const tailBegin = fileBytes - tailBytes
  const tail = viewOf(await readExactly(source, tailBegin, tailBytes, 'its last bytes'))
  const at = findEnd(tail)
  if (at === undefined) {
    throw new FileError(
      `${path}: this is no zip archive, or its end is missing: it was cut off, or is not what torch.save writes: copy or download it again`,
    )
  }
  const hasLocator = at >= locatorBytes && tail.getUint32(at - locatorBytes, true) === locatorSignature
  const { directory, begin: endBegin } = hasLocator
    ? await readEnd64(source, bigNumber(path, tail, at - locatorBytes + 8), tailBegin + at - locatorBytes)
    : { directory: readEnd(path, tail, at), begin: tailBegin + at }
  // True in every file of an ordinary writer. It excludes a second directory and bytes that belong to nothing.
  if (directory.begin + directory.bytes !== endBegin) {
    throw new FileError(
      `${path}: the archive's directory should end at byte ${formatCount(endBegin)}, and its end record says ${formatCount(directory.begin + directory.bytes)}: ${copyAgain}`,
    )
  }
  if (directory.count * centralBytes > directory.bytes) {
    throw new FileError(
      `${path}: the archive claims ${formatCount(directory.count)} entries, and its directory has ${formatCount(directory.bytes)} bytes: ${copyAgain}`,
    )
  }
  return directory
}

/** Finds the last end record whose comment ends exactly at the end of the file. */
function findEnd(tail: DataView): number | undefined {
  for (let at = tail.byteLength - endBytes; at >= 0; at--) {
    if (tail.getUint32(at, true) === endSignature && at + endBytes + tail.getUint16(at + 20, true) === tail.byteLength)
      return at
  }
  return undefined
}

function readEnd(path: string, view: DataView, at: number): Directory {
  const count = view.getUint16(at + 10, true)
  checkOneDisk(
    path,
    view.getUint16(at + 4, true) === 0 && view.getUint16(at + 6, true) === 0 && view.getUint16(at + 8, true) === count,
  )
  return { count, bytes: view.getUint32(at + 12, true), begin: view.getUint32(at + 16, true) }
}

async function readEnd64(
  source: ByteSource,
  begin: number,
  locatorBegin: number,
): Promise<{ directory: Directory; begin: number }> {
  const { path } = source
  const wrong = new FileError(`${path}: the archive's zip64 end record is not where the file says: ${copyAgain}`)
  if (begin + end64Bytes !== locatorBegin) throw wrong
  const view = viewOf(await readExactly(source, begin, end64Bytes, "the archive's zip64 end record"))
  if (view.getUint32(0, true) !== end64Signature) throw wrong
  const count = bigNumber(path, view, 32)
  checkOneDisk(
    path,
    view.getUint32(16, true) === 0 && view.getUint32(20, true) === 0 && bigNumber(path, view, 24) === count,
  )
  return { directory: { count, bytes: bigNumber(path, view, 40), begin: bigNumber(path, view, 48) }, begin }
}

function checkOneDisk(path: string, one: boolean): void {
  if (!one)
    throw new FileError(
      `${path}: this is one part of an archive in several, which torch.save does not write: ${copyAgain}`,
    )
}

function parseDirectory(path: string, bytes: Uint8Array, { begin, count }: Directory): Map<string, ZipEntry> {
  const view = viewOf(bytes)
  const broken = (i: number): FileError =>
    new FileError(`${path}: entry ${i + 1} of the archive's directory is broken: ${copyAgain}`)
  const found: Omit<ZipEntry, 'limit'>[] = []
  let at = 0
  for (let i = 0; i < count; i++) {
    if (at + centralBytes > bytes.length || view.getUint32(at, true) !== centralSignature) throw broken(i)
    const nameEnd = at + centralBytes + view.getUint16(at + 28, true)
    const extraEnd = nameEnd + view.getUint16(at + 30, true)
    const end = extraEnd + view.getUint16(at + 32, true)
    if (end > bytes.length) throw broken(i)
    const name = decodeUtf8(path, bytes.subarray(at + centralBytes, nameEnd), `the name of entry ${i + 1}`)
    const refuse = (why: string): FileError => new FileError(`${path}: entry ${quote(name)} ${why}`)
    if (escapes(name))
      throw refuse('has a name that leads out of the archive: no honest file has that, and it was not opened')
    const sizes = sizesOf(path, view, at, nameEnd, extraEnd)
    if (sizes === undefined) throw broken(i)
    const [size, packed, offset] = sizes
    if ((view.getUint16(at + 8, true) & 1) !== 0) throw refuse('is encrypted, which torch.save does not do')
    if (view.getUint16(at + 10, true) !== 0) {
      throw refuse(
        `is compressed (${formatBytes(packed)} that claim to be ${formatBytes(size)}), which torch.save does not do: load the file with torch and save it again`,
      )
    }
    if (size !== packed)
      throw refuse(`is stored and has two sizes, ${formatCount(size)} and ${formatCount(packed)}: ${copyAgain}`)
    found.push({ name, bytes: size, begin: offset })
    at = end
  }
  if (at !== bytes.length)
    throw new FileError(`${path}: the archive's directory goes on after its last entry: ${copyAgain}`)
  return placeEntries(path, found, begin)
}

/** Reads size, stored size and offset. Those above 32 bits are in the zip64 field (id 1), in this order. */
function sizesOf(path: string, view: DataView, at: number, extraBegin: number, extraEnd: number): number[] | undefined {
  const values = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)]
  if (view.getUint16(at + 34, true) !== 0) return undefined // the entry begins on another disk
  for (let field = extraBegin; field + 4 <= extraEnd;) {
    const fieldEnd = field + 4 + view.getUint16(field + 2, true)
    if (fieldEnd > extraEnd) return undefined
    if (view.getUint16(field, true) === 1) {
      let next = field + 4
      for (let i = 0; i < values.length; i++) {
        if (values[i] !== 0xffffffff) continue
        if (next + 8 > fieldEnd) return undefined
        values[i] = bigNumber(path, view, next)
        next += 8
      }
      return values
    }
    field = fieldEnd
  }
  return values.includes(0xffffffff) ? undefined : values
}

/** Throws if entries overlap each other or the directory. */
function placeEntries(
  path: string,
  found: readonly Omit<ZipEntry, 'limit'>[],
  directoryBegin: number,
): Map<string, ZipEntry> {
  const ordered = [...found].sort((a, b) => a.begin - b.begin)
  const limits = new Map(
    ordered.map((entry, i) => [entry, i + 1 < ordered.length ? ordered[i + 1].begin : directoryBegin]),
  )
  const entries = new Map<string, ZipEntry>()
  for (const entry of found) {
    const limit = limits.get(entry)!
    if (entry.begin + localBytes + entry.bytes > limit) {
      throw new FileError(
        `${path}: entry ${quote(entry.name)} of ${formatCount(entry.bytes)} bytes does not fit where the archive's directory puts it: the file is broken or malicious`,
      )
    }
    if (entries.has(entry.name))
      throw new FileError(`${path}: there are two entries ${quote(entry.name)}: the file is broken or malicious`)
    entries.set(entry.name, { ...entry, limit })
  }
  return entries
}

const escapes = (name: string): boolean =>
  name === '' || /^\/|^[A-Za-z]:|[\\\0]/.test(name) || name.split('/').includes('..')

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Reads a 64-bit number. Throws if it is above 2^53. */
function bigNumber(path: string, view: DataView, at: number): number {
  const value = view.getBigUint64(at, true)
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new FileError(
      `${path}: the archive claims a size or place of ${formatCount(value)} bytes: the file is broken or malicious`,
    )
  return Number(value)
}
