import { FileError } from '../../../base/errors.js'
import { formatBytes } from '../../../base/format.js'
import { MAX_RECORD_BYTES } from '../records.js'
import type { RawRecord } from '../records.js'
import { maskedCrc32c } from './crc32c.js'

/** Before the data: its length (uint64, little-endian) and the masked CRC of the length. After it: its masked CRC. */
const HEADER_BYTES = 12
const FOOTER_BYTES = 4

/**
 * The records of a TFRecord file (tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details"). A record
 * whose checksum is wrong, that is too long or cut off has a `problem`. Throws a FileError that names the record's
 * number and offset if the checksum of its length is wrong: the records after it cannot be found.
 */
export async function* cutTfRecords(chunks: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<RawRecord> {
  const bytes = new ByteQueue(chunks)
  for (let number = 1, offset = 0; await bytes.has(1); number++) {
    const where = `${path}: record ${number} (at byte ${offset})`
    const bad = (problem: string): RawRecord => ({ bytes: new Uint8Array(), start: offset, where, problem })
    if (!(await bytes.has(HEADER_BYTES))) return yield bad(CUT_OFF)
    const header = bytes.take(HEADER_BYTES)
    const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES)
    if (maskedCrc32c(header.subarray(0, 8)) !== view.getUint32(8, true))
      throw new FileError(
        `${where}: the checksum of its length is wrong: this is not a TFRecord file, or it is damaged from here on, and no record after this one can be found`,
      )
    const length = view.getBigUint64(0, true)
    const size = Number(length)
    if (length > BigInt(MAX_RECORD_BYTES)) {
      yield bad(`has ${length} bytes; at most ${formatBytes(MAX_RECORD_BYTES)} are read`)
      await bytes.skip(size + FOOTER_BYTES)
    } else {
      if (!(await bytes.has(size + FOOTER_BYTES))) return yield bad(CUT_OFF)
      const data = bytes.take(size)
      const footer = bytes.take(FOOTER_BYTES)
      const isRight =
        maskedCrc32c(data) === new DataView(footer.buffer, footer.byteOffset, FOOTER_BYTES).getUint32(0, true)
      yield isRight
        ? { bytes: data, start: offset + HEADER_BYTES, where }
        : bad('its checksum is wrong: the file is damaged; get it again')
    }
    offset += HEADER_BYTES + size + FOOTER_BYTES
  }
}

/** Whether a file begins as a TFRecord file does: with a length and its checksum. */
export const isTfRecord = (start: Uint8Array): boolean =>
  start.length >= HEADER_BYTES &&
  maskedCrc32c(start.subarray(0, 8)) === new DataView(start.buffer, start.byteOffset).getUint32(8, true)

/** A record with its frame, as `cutTfRecords` reads it. */
export function frameTfRecord(data: Uint8Array): Uint8Array {
  const framed = new Uint8Array(HEADER_BYTES + data.length + FOOTER_BYTES)
  const view = new DataView(framed.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, maskedCrc32c(framed.subarray(0, 8)), true)
  framed.set(data, HEADER_BYTES)
  view.setUint32(HEADER_BYTES + data.length, maskedCrc32c(data), true)
  return framed
}

const CUT_OFF = 'the file is cut off here; get it again'

/** Bytes that come in chunks and are taken in pieces of any size. */
class ByteQueue {
  private readonly iterator: AsyncIterator<Uint8Array>
  private rest: Uint8Array = new Uint8Array()

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.iterator = chunks[Symbol.asyncIterator]()
  }

  /** Whether at least `count` bytes are left. Afterwards, `take` can take them. */
  async has(count: number): Promise<boolean> {
    if (this.rest.length >= count) return true
    const parts = [this.rest]
    let length = this.rest.length
    while (length < count) {
      const { value, done } = await this.iterator.next()
      if (done === true) break
      parts.push(value)
      length += value.length
    }
    this.rest = Buffer.concat(parts)
    return length >= count
  }

  /** Reads bytes that are not needed, as many as there are. */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0 && (await this.has(1));) left -= this.take(Math.min(left, this.rest.length)).length
  }

  take(count: number): Uint8Array {
    const taken = this.rest.subarray(0, count)
    this.rest = this.rest.subarray(count)
    return taken
  }
}
