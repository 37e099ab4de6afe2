import { FileError } from '../../base/errors.js'
import type { Fields } from '../preprocessor.js'

/**
 * The longest record that is read, and so the memory for one: a longer line means that the file has another format, or
 * that a quote is never closed.
 */
export const MAX_RECORD_BYTES = 1 << 24

/** A record as its format cuts it out of a file. */
export interface RawRecord {
  readonly bytes: Uint8Array
  /** The offset of the first byte in the file. */
  readonly start: number
  /** Where the record begins, for messages: `pairs.tsv:12`. */
  readonly where: string
  /**
   * Why these bytes are no record, for a message after `where`: a quote that is never closed, for example. The records
   * after it can be read.
   */
  readonly problem?: string
}

/** How the records of a file are found and read. Every record can be read alone, which is what gives random access. */
export interface RecordFormat {
  /** Cuts the content of a file into records. Throws a FileError where no further record can be found. */
  cut(chunks: AsyncIterable<Uint8Array>, path: string): AsyncIterable<RawRecord>
  /**
   * The values of a record; undefined for one that holds no example, such as a blank line. `where` is used in messages.
   * Throws a FileError if the record is wrong.
   */
  parse(bytes: Uint8Array, where: string): Fields | undefined
}

/** Throws a FileError if the bytes of a record are none (`problem`). */
export function checkCut({ where, problem }: RawRecord): void {
  if (problem !== undefined) throw new FileError(`${where}: ${problem}`)
}
