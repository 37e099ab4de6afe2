import { FileError } from '../../../base/errors.js'
import { formatBytes } from '../../../base/format.js'
import { MAX_RECORD_BYTES } from '../records.js'
import type { RawRecord } from '../records.js'
import { cutLines } from '../text-lines.js'

/** How the cells of a file are separated. */
export interface Dialect {
  readonly delimiter: string
  /**
   * Whether a cell may stand in double quotes, as in RFC 4180: it can then hold delimiters, line ends, and quotes
   * written twice. Without, a quote is an ordinary character.
   */
  readonly quoted: boolean
}

const QUOTE = 34

/**
 * The cells of one record. An end of a line inside a quoted cell becomes LF. Throws a FileError with the column for a
 * quote that RFC 4180 does not allow.
 */
export function parseCells(record: string, { delimiter, quoted }: Dialect, where: string): string[] {
  if (!quoted || !record.includes('"')) return record.split(delimiter)
  const cells: string[] = []
  let at = 0
  for (;;) {
    const { cell, end } =
      record[at] === '"' ? quotedCell(record, at, where, cells.length + 1) : plainCell(record, at, delimiter)
    cells.push(cell)
    if (end === record.length) return cells
    if (!record.startsWith(delimiter, end))
      throw new FileError(
        `${where}: column ${cells.length}: ${JSON.stringify(record.slice(end, end + 10))} follows a closing quote; write a quote inside a quoted cell twice ("")`,
      )
    at = end + delimiter.length
  }
}

function plainCell(record: string, start: number, delimiter: string): { cell: string; end: number } {
  const found = record.indexOf(delimiter, start)
  const end = found < 0 ? record.length : found
  return { cell: record.slice(start, end), end }
}

function quotedCell(record: string, start: number, where: string, column: number): { cell: string; end: number } {
  let end = record.indexOf('"', start + 1)
  while (end >= 0 && record[end + 1] === '"') end = record.indexOf('"', end + 2)
  if (end < 0) throw new FileError(`${where}: column ${column}: its opening quote is never closed`)
  return {
    cell: record
      .slice(start + 1, end)
      .replaceAll('""', '"')
      .replaceAll(/\r\n?/g, '\n'),
    end: end + 1,
  }
}

/**
 * The records of a delimited file: its lines, where a line that ends inside a quoted cell goes on in the next. A record
 * is named by its first line.
 */
export async function* cutDelimited(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
  { delimiter, quoted }: Dialect,
): AsyncGenerator<RawRecord> {
  const state = new QuoteState(delimiter.charCodeAt(0))
  let open: { parts: Uint8Array[]; start: number; length: number; where: string } | undefined
  for await (const line of cutLines(chunks, path)) {
    if (!quoted || (open === undefined && !line.bytes.includes(QUOTE))) {
      yield line
      continue
    }
    open ??= { parts: [], start: line.start, length: 0, where: line.where }
    // The end of the previous line, which `cutLines` has removed, belongs to the cell. `parseCells` reads CR as LF.
    const gap = line.start - (open.start + open.length)
    open.parts.push(gap === 2 ? CRLF : LF.subarray(0, gap), line.bytes)
    open.length += gap + line.bytes.length
    if (open.length > MAX_RECORD_BYTES)
      throw new FileError(
        `${open.where}: a quote is opened in this record and not closed within ${formatBytes(MAX_RECORD_BYTES)}; if quotes are ordinary characters in this file, say so (--no-quotes)`,
      )
    if (state.endsInside(line.bytes)) continue
    yield { bytes: Buffer.concat(open.parts), start: open.start, where: open.where }
    open = undefined
  }
  if (open !== undefined) {
    throw new FileError(
      `${open.where}: a quote is opened in this record and never closed; if quotes are ordinary characters in this file, say so (--no-quotes)`,
    )
  }
}

const LF = Uint8Array.of(10)
const CRLF = Uint8Array.of(13, 10)

/** Follows where in a cell the text is, line by line. */
class QuoteState {
  private state: 'start' | 'plain' | 'quoted' | 'after quote' = 'start'

  constructor(private readonly delimiter: number) {}

  /** Whether the line that is read next ends inside a quoted cell. */
  endsInside(line: Uint8Array): boolean {
    if (this.state !== 'quoted') this.state = 'start'
    for (const byte of line) {
      if (byte === QUOTE) {
        if (this.state === 'quoted') this.state = 'after quote'
        // The second of two quotes inside a quoted cell goes on with it.
        else this.state = this.state === 'plain' ? 'plain' : 'quoted'
      } else if (this.state !== 'quoted') this.state = byte === this.delimiter ? 'start' : 'plain'
    }
    return this.state === 'quoted'
  }
}
