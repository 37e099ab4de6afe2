import { FileError } from '../../base/errors.js'
import type { Dataset } from '../dataset.js'
import { openDataFile } from '../sources/data-file.js'
import { findFiles } from '../sources/find-files.js'
import { openIndexedFiles } from '../sources/indexed-files.js'
import type { RecordFormat } from '../sources/records.js'
import { chooseInput } from './columns.js'
import { columnText, NO_ROWS, shortenedNotes, textOf } from './read.js'

export interface InputsOptions {
  /** The file, or a glob pattern for several. */
  readonly path: string
  /** The column of the inputs, by its name or its number from 1. Default: recognized. */
  readonly input?: string
  /** As in `DataFileOptions`. Default: recognized. */
  readonly header?: boolean
  readonly delimiter?: string
  readonly quotes?: boolean
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
export async function openInputs({ path, input, header, delimiter, quotes }: InputsOptions): Promise<Inputs> {
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
        select: columns => [chooseInput(name, columns, given)],
      })
      // An empty file has no columns.
      const column = file.columns.length === 0 ? '1' : chooseInput(name, file.columns, given)
      const format: RecordFormat = {
        cut: (chunks, from) => file.format.cut(chunks, from),
        parse(bytes, where) {
          const fields = file.format.parse(bytes, where)
          return fields && { input: textOf(fields, column, `${where}: the input (${columnText(column)})`, shortened) }
        },
      }
      return { ...file, format, notes: [...file.notes, `${name}: ${file.description}; input: ${columnText(column)}`] }
    }),
  )
  const dataset = await openIndexedFiles(
    files.map(file => file.path),
    index => files[index].format,
    { names: [...names] },
  )
  if (dataset.length === 0) {
    dataset.close()
    throw new FileError(`${path}: ${NO_ROWS}, so there is nothing to answer`)
  }
  return {
    length: dataset.length,
    notes: [...files.flatMap(file => file.notes), ...shortenedNotes(shortened)],
    get: index => dataset.get(index).input as string,
    close: () => dataset.close(),
  }
}
