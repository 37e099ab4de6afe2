import { FileError } from '../../../base/errors.js'
import { formatBytes } from '../../../base/format.js'
import type { Fields } from '../../preprocessor.js'
import type { RecordFormat } from '../records.js'
import { decodeText, excerpt } from '../text-lines.js'
import { firstRecord } from './header.js'
import { cutDelimited, parseCells } from './parse.js'
import type { Dialect } from './parse.js'
import { delimiterNames, recognizeDialect, SAMPLE_BYTES } from './recognize.js'

/** What a user may say about a CSV or TSV file. What is left out is recognized. */
export interface DelimitedOptions extends Partial<Dialect> {
  /** Whether the first record names the columns. */
  readonly header?: boolean
}

/** A delimited file, as it was recognized. */
export interface Delimited {
  readonly format: RecordFormat
  /** The names of the columns: of the header, or 1, 2 ... */
  readonly columns: readonly string[]
  readonly header: boolean
  /** For a user: `comma-separated, with a header line (text, label)`. */
  readonly description: string
  /** The rows of the sample that have all columns. */
  readonly sample: () => Promise<readonly Fields[]>
  readonly isHeaderOnly: boolean
}

/**
 * Recognizes a CSV or TSV file (any delimiter, RFC 4180 quoting) by its first bytes. An example has the cells by the
 * names of their columns, without the spaces around them. `named` are columns that the user has named, which tells a
 * header line that holds them. Throws a FileError that says what to do if the first record may be a header or data.
 */
export async function openDelimited(
  path: string,
  sample: Uint8Array,
  options: DelimitedOptions = {},
  named: readonly string[] = [],
): Promise<Delimited> {
  const { dialect, rows, problem } = await recognizeDialect(path, sample, options)
  if (rows.length === 0 && Buffer.from(sample).toString().trim() !== '')
    throw (
      problem ??
      new FileError(
        `${path}:1: the first record is longer than ${formatBytes(SAMPLE_BYTES)}: this is no CSV or TSV file`,
      )
    )
  const first = rows[0] ?? []
  const isOneLine = rows.length === 1 && problem === undefined && sample.length < SAMPLE_BYTES
  const header = options.header ?? decideHeader(path, rows, dialect, { named, isOneLine })
  const columns = header ? headerColumns(path, first) : first.map((_, i) => String(i + 1))
  const names = `${delimiterNames[dialect.delimiter] ?? dialect.delimiter}-separated`
  return {
    format: delimitedFormat(dialect, columns, header),
    columns,
    header,
    isHeaderOnly: header && isOneLine,
    sample: () => Promise.resolve(sampleOf(columns, header ? rows.slice(1) : rows)),
    description: `${names}, ${header ? `with a header line (${columns.join(', ')})` : 'without a header line'}`,
  }
}

const SAMPLED = 100

const sampleOf = (columns: readonly string[], rows: readonly (readonly string[])[]): Fields[] =>
  rows
    .filter(row => row.length === columns.length)
    .slice(0, SAMPLED)
    .map(row => Object.fromEntries(columns.map((column, i) => [column, row[i]])))

/** A line that may be either and is the only one is taken for a header: the error for a file without rows asks. */
function decideHeader(
  path: string,
  rows: readonly (readonly string[])[],
  { delimiter }: Dialect,
  { named, isOneLine }: { readonly named: readonly string[]; readonly isOneLine: boolean },
): boolean {
  const first = rows[0] ?? []
  const names = named.filter(name => !/^\d+$/.test(name))
  if (names.length > 0 && names.every(name => first.includes(name))) return true
  const found = firstRecord(rows, delimiter !== '\t')
  if (found !== 'unclear') return found === 'header'
  if (isOneLine) return true
  throw new FileError(
    `${path}:1: is this line a header that names the columns, or the first example? ${excerpt(first.join(delimiter))} may be either: give --header or --no-header (in a configuration, header: true or false)`,
  )
}

function headerColumns(path: string, cells: readonly string[]): string[] {
  const columns = cells.map((cell, i) => cell || String(i + 1))
  const twice = columns.find((column, i) => columns.indexOf(column) !== i)
  if (twice !== undefined)
    throw new FileError(
      `${path}:1: the header names two columns "${twice}": rename one, or say --no-header if this line is an example`,
    )
  return columns
}

function delimitedFormat(dialect: Dialect, columns: readonly string[], header: boolean): RecordFormat {
  return {
    async *cut(chunks, path) {
      let skip = header
      for await (const record of cutDelimited(chunks, path, dialect)) {
        // The header is the first record that is not blank.
        if (skip && !isBlank(record.bytes)) skip = false
        else yield record
      }
    },
    parse(bytes, where) {
      if (isBlank(bytes)) return undefined
      const record = decodeText(bytes, where)
      const cells = parseCells(record, dialect, where)
      if (cells.length !== columns.length) {
        const name = delimiterNames[dialect.delimiter] ?? JSON.stringify(dialect.delimiter)
        throw new FileError(
          `${where}: expected ${columns.length} columns (as in the first line, separated by ${name}), got ${cells.length}: ${excerpt(record)}`,
        )
      }
      return Object.fromEntries(columns.map((column, i) => [column, cells[i].trim()]))
    },
  }
}

/** Whether a record holds only spaces. A line of tabs is not blank: its cells are empty. */
const isBlank = (bytes: Uint8Array): boolean => bytes.every(byte => byte === 32 || byte === 13)
