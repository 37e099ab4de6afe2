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
 * is named by its first line. If its quote is never closed, or closed in the middle of a cell of a later line, the
 * first line alone is a record with a `problem`, and the next line begins another record: one wrong quote costs one
 * row.
 */
export async function* cutDelimited(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
  { delimiter, quoted }: Dialect,
): AsyncGenerator<RawRecord> {
  if (!quoted) return yield* cutLines(chunks, path)
  const records = new QuotedRecords(delimiter)
  for await (const line of cutLines(chunks, path)) yield* records.add(line)
  yield* records.end()
}

const LF = Uint8Array.of(10)
const CRLF = Uint8Array.of(13, 10)

/**
 * Joins lines to records, in time linear in the file. Each line is read at most twice: as the first line of a record,
 * and as a line that begins inside a quoted cell. The second reading is the same wherever the cell began: if a quote is
 * given up, the quotes that later lines open reach as far as that one did, without reading the lines between again.
 */
class QuotedRecords {
  private readonly delimiter: number
  /** The lines from which records are still to be made, after `first` lines that are done with. */
  private lines: RawRecord[] = []
  private first = 0
  /** Whether the line at `first` has been read, and ends inside a quoted cell. */
  private isOpen = false
  /** A quoted cell that is open at the end of the line at `first` or of a later one is still open before this line. */
  private reach = 0
  /** Why a quoted cell can neither go on nor close in the line at `reach`, if that is known. */
  private obstacle: string | undefined

  constructor(delimiter: string) {
    this.delimiter = delimiter.charCodeAt(0)
  }

  /** The records that end with the next line. */
  *add(line: RawRecord): Generator<RawRecord> {
    if (this.lines.length === 0 && !line.bytes.includes(QUOTE)) {
      yield line
      return
    }
    this.lines.push(line)
    yield* this.records(false)
  }

  /** The records that the end of the file leaves. */
  *end(): Generator<RawRecord> {
    yield* this.records(true)
  }

  private *records(isEnd: boolean): Generator<RawRecord> {
    while (this.first < this.lines.length) {
      const record = this.next(isEnd)
      if (record === undefined) break
      yield record
    }
    if (this.first > this.lines.length / 2) this.forget()
  }

  /** The record that begins with the line at `first`; undefined if further lines decide where it ends. */
  private next(isEnd: boolean): RawRecord | undefined {
    const { lines } = this
    const line = lines[this.first]
    if (!this.isOpen) {
      const { isInside, isBroken } = readQuotes(line.bytes, this.delimiter, false)
      if (!isInside || line.problem !== undefined) return this.take(1)
      if (isBroken) return this.giveUp(closedWrongly(line))
      this.isOpen = true
    }
    if (this.reach <= this.first) this.advance(this.first + 1)
    for (; this.reach < lines.length; this.advance(this.reach + 1)) {
      const last = lines[this.reach]
      if (last.start + last.bytes.length - line.start > MAX_RECORD_BYTES)
        return this.giveUp(`not closed within ${formatBytes(MAX_RECORD_BYTES)}`)
      if (this.obstacle === undefined) {
        const { isInside, isBroken } = readQuotes(last.bytes, this.delimiter, true)
        if (last.problem !== undefined) this.obstacle = `not closed before ${last.where}, which cannot be read`
        else if (isBroken) this.obstacle = closedWrongly(last)
        else if (!isInside) return this.take(this.reach + 1 - this.first)
      }
      if (this.obstacle !== undefined) return this.giveUp(this.obstacle)
    }
    return isEnd ? this.giveUp('never closed') : undefined
  }

  private advance(reach: number): void {
    this.reach = reach
    this.obstacle = undefined
  }

  /** The next lines as one record. */
  private take(count: number): RawRecord {
    const record = count === 1 ? this.lines[this.first] : joined(this.lines.slice(this.first, this.first + count))
    this.first += count
    this.isOpen = false
    return record
  }

  /** The next line as a record that cannot be read. */
  private giveUp(how: string): RawRecord {
    return {
      ...this.take(1),
      problem: `a quote is opened in this record and ${how}; if quotes are ordinary characters in this file, say so (--no-quotes)`,
    }
  }

  /** Drops the lines that are done with. */
  private forget(): void {
    this.lines.splice(0, this.first)
    this.reach = Math.max(0, this.reach - this.first)
    this.first = 0
  }
}

const closedWrongly = ({ where }: RawRecord): string => `closed in the middle of a cell (${where})`

/** One record of several lines. */
function joined(lines: readonly RawRecord[]): RawRecord {
  const [first] = lines
  const parts: Uint8Array[] = []
  let end = first.start
  for (const { bytes, start } of lines) {
    // The end of the previous line, which `cutLines` has removed, belongs to the cell. `parseCells` reads CR as LF.
    const gap = start - end
    parts.push(gap === 2 ? CRLF : LF.subarray(0, gap), bytes)
    end = start + bytes.length
  }
  return { ...first, bytes: Buffer.concat(parts) }
}

/**
 * Whether a line ends inside a quoted cell, and whether text follows a closing quote (`isBroken`), which RFC 4180 does
 * not allow. `isInside`: whether the line begins inside a quoted cell.
 */
function readQuotes(
  line: Uint8Array,
  delimiter: number,
  isInside: boolean,
): { readonly isInside: boolean; readonly isBroken: boolean } {
  if (!line.includes(QUOTE)) return { isInside, isBroken: false }
  let state: 'start' | 'plain' | 'quoted' | 'after quote' = isInside ? 'quoted' : 'start'
  let isBroken = false
  for (const byte of line) {
    if (byte === QUOTE) {
      if (state === 'quoted') state = 'after quote'
      // The second of two quotes inside a quoted cell goes on with it.
      else if (state !== 'plain') state = 'quoted'
    } else if (state !== 'quoted') {
      isBroken ||= state === 'after quote' && byte !== delimiter
      state = byte === delimiter ? 'start' : 'plain'
    }
  }
  return { isInside: state === 'quoted', isBroken }
}
