import { FileError } from '../../base/errors.js'
import type { Dataset } from '../dataset.js'
import { openDataFile } from '../sources/data-file.js'
import { findFiles } from '../sources/find-files.js'
import { openIndexedFiles } from '../sources/indexed-files.js'
import type { RecordFormat } from '../sources/records.js'
import { chooseInput } from './columns.js'
import { columnText, headerOnly, shortenedNotes, textOf } from './read.js'

export interface InputsOptions {
  /** The file, or a glob pattern for several. */
  readonly path: string
  /** The column of the inputs, by its name or its number from 1. Default: recognized. */
  readonly input?: string
  /** As in `DataFileOptions`. Default: recognized. */
  readonly header?: boolean
  readonly delimiter?: string
  readonly quotes?: boolean
  /** As in `IndexedFilesOptions`. */
  readonly skipBadRows?: boolean
}

/** Inputs without targets, in the order of the files. Close them after use. */
export interface Inputs extends Dataset<string> {
  /** What was recognized in each file, for a user. */
  readonly notes: readonly string[]
  close(): void
}

/**
 * Opens the inputs of files to be answered: CSV, TSV, JSON Lines, Parquet or lines of text. Texts lose the spaces
 * around them. Throws a ConfigError or a FileError that names the file and the first wrong lines.
 */
export async function openInputs({
  path,
  input,
  header,
  delimiter,
  quotes,
  skipBadRows,
}: InputsOptions): Promise<Inputs> {
  const names = await findFiles(path)
  const given = input ?? null
  const shortened = new Set<string>()
  const files = await Promise.all(
    names.map(async name => {
      const file = await openDataFile(name, {
        named: input === undefined ? [] : [input],
        header,
        delimiter,
        quoted: quotes,
        select: async (columns, sample) => [await chooseInput(name, columns, given, sample)],
      })
      const isEmpty = file.columns.length === 0 || file.isHeaderOnly
      const column = isEmpty ? '1' : await chooseInput(name, file.columns, given, file.sample)
      const format: RecordFormat = {
        cut: (chunks, from) => file.format.cut(chunks, from),
        parse(bytes, where) {
          const fields = file.format.parse(bytes, where)
          return fields && { input: textOf(fields, column, `${where}: the input (${columnText(column)})`, shortened) }
        },
      }
      if (file.isHeaderOnly) return { ...file, format, notes: [...file.notes, `${name}: ${headerOnly(file)}`] }
      return { ...file, format, notes: [...file.notes, `${name}: ${file.description}; input: ${columnText(column)}`] }
    }),
  )
  const dataset = await openIndexedFiles(
    files.map(file => file.path),
    index => files[index].format,
    { names: [...names], skipBadRows },
  )
  if (dataset.length === 0) {
    dataset.close()
    const headers = files.filter(file => file.isHeaderOnly).map(file => `${file.name}: ${headerOnly(file)}`)
    throw new FileError(headers.length > 0 ? headers.join('\n') : `${path}: this file has no rows, or only empty lines`)
  }
  return {
    length: dataset.length,
    notes: [...files.flatMap(file => file.notes), ...(dataset.notes ?? []), ...shortenedNotes(shortened)],
    get: index => dataset.get(index).input as string,
    close: () => dataset.close(),
  }
}
