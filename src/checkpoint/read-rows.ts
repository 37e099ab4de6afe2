import { readExactly } from './byte-source.js'
import type { ByteSource } from './byte-source.js'

/** Byte ranges of one length, in ascending order. */
interface Rows {
  readonly offsets: readonly number[]
  readonly length: number
  /** What the bytes are of, for errors. */
  readonly what: string
}

/** Rows that are close to each other are read together, with what lies between them, up to this many bytes. */
const windowBytes = 2 ** 22
/** A longer gap is skipped: reading it takes longer than a call. */
const gapBytes = 2 ** 16

/** Reads byte ranges of a source, one after the other in memory. No read is larger than a row, or than 4 MiB. */
export async function readRows(source: ByteSource, { offsets, length, what }: Rows): Promise<Uint8Array> {
  if (offsets.length === 1) return readExactly(source, offsets[0], length, what)
  const rows = new Uint8Array(offsets.length * length)
  for (let first = 0; first < offsets.length;) {
    let next = first + 1
    while (next < offsets.length && isNear(offsets, first, next, length)) next++
    const begin = offsets[first]
    const window = await readExactly(source, begin, offsets[next - 1] + length - begin, what)
    for (let row = first; row < next; row++) {
      const at = offsets[row] - begin
      rows.set(window.subarray(at, at + length), row * length)
    }
    first = next
  }
  return rows
}

/** Whether row `next` is read together with those from `first` on. */
const isNear = (offsets: readonly number[], first: number, next: number, length: number): boolean =>
  offsets[next] - offsets[next - 1] - length <= gapBytes && offsets[next] + length - offsets[first] <= windowBytes
