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

/** Joins lines to records. */
class QuotedRecords {
  /** The lines of a record that has not ended. */
  private lines: RawRecord[] = []
  private readonly quotes: QuoteState

  constructor(delimiter: string) {
    this.quotes = new QuoteState(delimiter.charCodeAt(0))
  }

  /** The records that end with the next line. */
  *add(line: RawRecord): Generator<RawRecord> {
    // The lines after one that is given up are read again, from the last of the list on.
    const next = [line]
    for (let current = next.pop(); current !== undefined; current = next.pop()) {
      if (this.lines.length === 0 && !current.bytes.includes(QUOTE)) {
        yield current
        continue
      }
      this.lines.push(current)
      const isInside = this.quotes.endsInside(current.bytes)
      const problem = this.problemAt(current)
      if (problem !== undefined) {
        const rest = this.lines.slice(1)
        yield this.giveUp(problem)
        for (const again of rest.reverse()) next.push(again)
      } else if (!isInside) {
        yield this.lines.length === 1 ? current : joined(this.lines)
        this.clear()
      }
    }
  }

  /** The records that the end of the file leaves. */
  *end(): Generator<RawRecord> {
    while (this.lines.length > 0) {
      const rest = this.lines.slice(1)
      yield this.giveUp('never closed')
      for (const line of rest) yield* this.add(line)
    }
  }

  /** Why the quote that is open in the first line cannot be one that ends in this line; undefined if it can. */
  private problemAt(line: RawRecord): string | undefined {
    const length = line.start + line.bytes.length - this.lines[0].start
    if (length > MAX_RECORD_BYTES) return `not closed within ${formatBytes(MAX_RECORD_BYTES)}`
    if (line.problem !== undefined) return `not closed before ${line.where}, which cannot be read`
    const isLater = this.lines.length > 1
    return isLater && this.quotes.isBroken ? `closed in the middle of a cell (${line.where})` : undefined
  }

  private giveUp(how: string): RawRecord {
    const [first] = this.lines
    this.clear()
    return {
      ...first,
      problem:
        first.problem ??
        `a quote is opened in this record and ${how}; if quotes are ordinary characters in this file, say so (--no-quotes)`,
    }
  }

  private clear(): void {
    this.lines = []
    this.quotes.reset()
  }
}

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

/** Follows where in a cell the text is, line by line. */
class QuoteState {
  /** Whether text follows a closing quote, which RFC 4180 does not allow. */
  isBroken = false
  private state: 'start' | 'plain' | 'quoted' | 'after quote' = 'start'

  constructor(private readonly delimiter: number) {}

  /** Begins a record. */
  reset(): void {
    this.state = 'start'
    this.isBroken = false
  }

  /** Whether the line that is read next ends inside a quoted cell. */
  endsInside(line: Uint8Array): boolean {
    if (this.state !== 'quoted') this.state = 'start'
    for (const byte of line) {
      if (byte === QUOTE) {
        if (this.state === 'quoted') this.state = 'after quote'
        // The second of two quotes inside a quoted cell goes on with it.
        else this.state = this.state === 'plain' ? 'plain' : 'quoted'
      } else if (this.state !== 'quoted') {
        this.isBroken ||= this.state === 'after quote' && byte !== this.delimiter
        this.state = byte === this.delimiter ? 'start' : 'plain'
      }
    }
    return this.state === 'quoted'
  }
}
