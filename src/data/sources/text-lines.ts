import { FileError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import { MAX_RECORD_BYTES } from './records.js'
import type { RawRecord, RecordFormat } from './records.js'

/** Lines of text: each line is an example `{ text }`, as in SeqIO's `TextLineDataSource`. Empty lines count. */
export const lineFormat: RecordFormat = {
  cut: cutLines,
  parse: (bytes, where) => ({ text: decodeText(bytes, where) }),
}

const LINE_FEED = 10
const CARRIAGE_RETURN = 13

/**
 * The lines of a file, without their ends and without a byte order mark at the start of the file. Lines end with LF or
 * CRLF; with CR if the first chunk has CR and no LF, as in files of old Macs and of some spreadsheets. Lines are cut
 * before they are decoded, so that an error can name the line of a bad byte. A line that is longer than a record may be
 * has no bytes, and a `problem`.
 */
export async function* cutLines(chunks: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<RawRecord> {
  let parts: Uint8Array[] = []
  let length = 0
  let start = 0
  let number = 1
  let lineEnd: number | undefined
  const take = (bytes: Uint8Array): void => {
    length += bytes.length
    // The bytes of a line that is too long are only counted.
    if (length > MAX_RECORD_BYTES) parts = []
    else parts.push(bytes)
  }
  const flush = (end: number): RawRecord => {
    const isTooLong = length > MAX_RECORD_BYTES
    const bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts)
    const skipped = start === 0 && hasByteOrderMark(bytes) ? 3 : 0
    const kept = bytes.subarray(skipped, bytes.at(-1) === CARRIAGE_RETURN ? -1 : undefined)
    const line = {
      bytes: kept,
      start: start + skipped,
      where: `${path}:${number}`,
      ...(isTooLong && { problem: `the line is longer than ${formatBytes(MAX_RECORD_BYTES)}` }),
    }
    parts = []
    start += length + end
    length = 0
    number++
    return line
  }
  for await (const chunk of untilLineEnd(chunks)) {
    lineEnd ??= lineEndOf(chunk) ?? LINE_FEED
    let from = 0
    for (let to = chunk.indexOf(lineEnd); to >= 0; to = chunk.indexOf(lineEnd, from)) {
      take(chunk.subarray(from, to))
      yield flush(1)
      from = to + 1
    }
    if (from < chunk.length) take(chunk.subarray(from))
  }
  if (length > 0) yield flush(0)
}

/** The same bytes in chunks of which the first is as long as it takes to show how the lines end. */
async function* untilLineEnd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = []
  let length = 0
  let isShown = false
  for await (const chunk of chunks) {
    if (isShown) {
      yield chunk
      continue
    }
    // No line has ended before, except by a CR that is the last byte.
    const last = waiting.at(-1)?.subarray(-1) ?? new Uint8Array(0)
    if (chunk.length > 0) waiting.push(chunk)
    length += chunk.length
    isShown = lineEndOf(Buffer.concat([last, chunk])) !== undefined || length > MAX_RECORD_BYTES
    if (isShown) {
      yield Buffer.concat(waiting)
      waiting = []
    }
  }
  if (waiting.length > 0) yield Buffer.concat(waiting)
}

/** The byte that ends the lines of a file that begins with these bytes; undefined if they do not show it. */
function lineEndOf(bytes: Uint8Array): number | undefined {
  if (bytes.includes(LINE_FEED)) return LINE_FEED
  const at = bytes.indexOf(CARRIAGE_RETURN)
  // The next byte after a last CR may be LF.
  return at >= 0 && at < bytes.length - 1 ? CARRIAGE_RETURN : undefined
}

const hasByteOrderMark = (bytes: Uint8Array): boolean => bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf

// ignoreBOM keeps a byte order mark within a file. The one at the start is removed by `cutLines`.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of a line or record. Throws a FileError for bytes that are not UTF-8. */
export function decodeLine(bytes: Uint8Array, where: string): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new FileError(`${where}: not valid UTF-8; save the file as UTF-8 text`)
  }
}

/** As `decodeLine`, of a file of text. Throws a FileError for NUL bytes, which no text has. */
export function decodeText(bytes: Uint8Array, where: string): string {
  if (bytes.includes(0))
    throw new FileError(
      `${where}: holds a NUL byte, so this is no text file, or one in UTF-16 or UTF-32: save it as UTF-8 text`,
    )
  return decodeLine(bytes, where)
}

/** The beginning of a text, quoted, for messages. */
export const excerpt = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text)
