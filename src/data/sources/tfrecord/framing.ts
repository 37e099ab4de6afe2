import { FileError } from '../../../base/errors.js'
import { formatBytes } from '../../../base/format.js'
import { MAX_RECORD_BYTES } from '../records.js'
import type { RawRecord } from '../records.js'
import { maskedCrc32c } from './crc32c.js'

/** Before the data: its length (uint64, little-endian) and the masked CRC of the length. After it: its masked CRC. */
const HEADER_BYTES = 12
const FOOTER_BYTES = 4

/**
 * The records of a TFRecord file (tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details"). Throws a
 * FileError that names the record's number and offset if a checksum is wrong or the file is cut off.
 */
export async function* cutTfRecords(chunks: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<RawRecord> {
  const bytes = new ByteQueue(chunks)
  for (let number = 1, offset = 0; await bytes.has(1); number++) {
    const where = `${path}: record ${number} (at byte ${offset})`
    if (!(await bytes.has(HEADER_BYTES))) throw cutOff(where)
    const header = bytes.take(HEADER_BYTES)
    const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES)
    if (maskedCrc32c(header.subarray(0, 8)) !== view.getUint32(8, true))
      throw new FileError(
        `${where}: the checksum of its length is wrong: this is not a TFRecord file, or it is damaged from here on`,
      )
    const length = view.getBigUint64(0, true)
    if (length > BigInt(MAX_RECORD_BYTES))
      throw new FileError(`${where}: has ${length} bytes; at most ${formatBytes(MAX_RECORD_BYTES)} are read`)
    const size = Number(length)
    if (!(await bytes.has(size + FOOTER_BYTES))) throw cutOff(where)
    const data = bytes.take(size)
    const footer = bytes.take(FOOTER_BYTES)
    if (maskedCrc32c(data) !== new DataView(footer.buffer, footer.byteOffset, FOOTER_BYTES).getUint32(0, true))
      throw new FileError(`${where}: its checksum is wrong: the file is damaged; get it again`)
    yield { bytes: data, start: offset + HEADER_BYTES, where }
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

const cutOff = (where: string): FileError => new FileError(`${where}: the file is cut off here; get it again`)

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

  take(count: number): Uint8Array {
    const taken = this.rest.subarray(0, count)
    this.rest = this.rest.subarray(count)
    return taken
  }
}
