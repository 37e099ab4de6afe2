import { extname } from 'node:path'
import { FileError } from '../../../base/errors.js'
import { cutDelimited, parseCells } from './parse.js'
import type { Dialect } from './parse.js'
import { checkCut } from '../records.js'
import { decodeText } from '../text-lines.js'

/** Delimiters in order of preference; a file named .csv is read by commas if both commas and tabs would do. */
const delimiters = ['\t', ',', ';', '|'] as const

/** Names of delimiters, for messages. */
export const delimiterNames: Readonly<Record<string, string>> = {
  '\t': 'tab',
  ',': 'comma',
  ';': 'semicolon',
  '|': 'vertical bar',
}

/** Records from the beginning of a file, which its dialect and header line are recognized by. */
export interface Sample {
  readonly dialect: Dialect
  readonly rows: readonly (readonly string[])[]
  /** What is wrong with the first record that cannot be read. */
  readonly problem?: FileError
}

/** This many bytes of a file are looked at. */
export const SAMPLE_BYTES = 1 << 18

/**
 * Recognizes how a file's cells are separated, by its name and its first records, except for what is given. A file with
 * tabs in its first line is separated by tabs, unless it is named .csv. Otherwise the delimiter is the one that gives
 * each record the same number of columns, at least two. Cells of CSV may be quoted. With tabs a quote is an ordinary
 * character, unless the sample shows quoting: all quotes are as RFC 4180 has them, and one cell needs them, because it
 * holds a tab, a line end or a quote written twice.
 */
export async function recognizeDialect(
  path: string,
  sample: Uint8Array,
  given: Partial<Dialect> = {},
): Promise<Sample> {
  const csv = /^\.csv(\.gz)?$/i.test(extname(path.replace(/\.gz$/i, '')))
  const order = csv ? [',', ';', '\t', '|'] : delimiters
  const candidates = given.delimiter === undefined ? order : [given.delimiter]
  const samples: Trial[] = []
  for (const delimiter of candidates) {
    const found = await trial(path, sample, delimiter, given.quoted)
    // A tab is hardly ever part of a text: if the first line holds one, lines without are errors to report.
    if (found.columns > 1 && (found.consistent || delimiter === '\t')) return found
    samples.push(found)
  }
  return samples.find(({ columns }) => columns > 1) ?? samples[0]
}

/** A sample read in a dialect. */
interface Trial extends Sample {
  /** The number of columns of the first record. */
  readonly columns: number
  /** Whether the whole sample can be read, and all records have that number. */
  readonly consistent: boolean
}

async function trial(path: string, sample: Uint8Array, delimiter: string, quoted: boolean | undefined): Promise<Trial> {
  if (quoted !== undefined || delimiter !== '\t') return read(path, sample, { delimiter, quoted: quoted ?? true })
  const plain = await read(path, sample, { delimiter, quoted: false })
  const withQuotes = await read(path, sample, { delimiter, quoted: true })
  // A quote in the middle of a cell is read the same either way, and shows nothing.
  const known = new Set(plain.rows.flat())
  const needed = withQuotes.rows.some(row => row.some(cell => /[\t\n"]/.test(cell) && !known.has(cell)))
  return withQuotes.columns > 1 && withQuotes.consistent && needed ? withQuotes : plain
}

/**
 * Reads a sample. Wrong records are left out; where the first one is wrong, or the sample is only the beginning of a
 * file, which may cut a record, it is read up to the wrong one. The last record of such a sample is left out.
 */
async function read(path: string, sample: Uint8Array, dialect: Dialect): Promise<Trial> {
  const rows: string[][] = []
  const whole = sample.length < SAMPLE_BYTES
  let problem: FileError | undefined
  for await (const record of cutDelimited(once(sample), path, dialect)) {
    try {
      checkCut(record)
      const text = decodeText(record.bytes, record.where)
      if (text.trim() !== '') rows.push(parseCells(text, dialect, record.where).map(cell => cell.trim()))
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      problem ??= error
      if (rows.length === 0 || !whole) break
    }
  }
  if (!whole && problem === undefined) rows.pop()
  const columns = rows[0]?.length ?? 0
  const failed = whole && problem !== undefined
  return { dialect, rows, problem, columns, consistent: !failed && rows.every(row => row.length === columns) }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
