import { findFiles } from './find-files.js'
import type { FilePatterns } from './find-files.js'
import { openDataFile } from './data-file.js'
import type { DataFile, DataFileOptions } from './data-file.js'
import { openIndexedFiles } from './indexed-files.js'
import { checkSplit } from './source.js'
import type { Source, SourceDataset } from './source.js'

/** The files of a source: one list, or the files of each split. Paths and glob patterns; gzip is unpacked. */
export type SourceFiles = FilePatterns | Readonly<Record<string, FilePatterns>>

/**
 * A source of files: JSON Lines, CSV and TSV, Parquet, TFRecord of tf.train.Example, or lines of text, as `options`
 * say or as the files' content and names tell.
 */
export function fileSource(files: SourceFiles, options: DataFileOptions & { name?: string } = {}): Source {
  const bySplit =
    typeof files === 'string' || Array.isArray(files) ? undefined : (files as Record<string, FilePatterns>)
  const source = {
    name: options.name ?? nameOf(files),
    splits: bySplit === undefined ? null : Object.keys(bySplit),
  }
  return {
    ...source,
    async open(split) {
      checkSplit(source, split)
      return openFiles(bySplit === undefined ? (files as FilePatterns) : bySplit[split!], options)
    },
  }
}

async function openFiles(patterns: FilePatterns, options: DataFileOptions): Promise<SourceDataset> {
  const opened: DataFile[] = []
  for (const file of await findFiles(patterns)) opened.push(await openDataFile(file, options))
  return openIndexedFiles(
    opened.map(({ path }) => path),
    file => opened[file].format,
    {
      names: opened.map(({ name }) => name),
      notes: opened.flatMap(({ notes }) => notes),
      skipBadRows: options.skipBadRows,
    },
  )
}

/** Lines of text, each an example `{ text }` (SeqIO's `TextLineDataSource`). */
export const textLineSource = (files: SourceFiles): Source => fileSource(files, { format: 'lines' })

/** JSON Lines: each line is an object, whose keys are the fields. */
export const jsonLinesSource = (files: SourceFiles, options: Pick<DataFileOptions, 'skipBadRows'> = {}): Source =>
  fileSource(files, { ...options, format: 'jsonl' })

/** CSV, TSV and other delimited files. The fields are the columns, by the header's names or as 1, 2 ... */
export const csvSource = (
  files: SourceFiles,
  options: Pick<DataFileOptions, 'delimiter' | 'quoted' | 'header' | 'skipBadRows'> = {},
): Source => fileSource(files, { ...options, format: 'delimited' })

/** Parquet. The rows are copied once into the cache, because single rows cannot be read fast. */
export const parquetSource = (
  files: SourceFiles,
  options: Pick<DataFileOptions, 'columns' | 'skipBadRows'> = {},
): Source => fileSource(files, { ...options, format: 'parquet' })

/** TFRecord files of tf.train.Example (SeqIO's `TFExampleDataSource`). */
export const tfExampleSource = (
  files: SourceFiles,
  options: Pick<DataFileOptions, 'features' | 'skipBadRows'> = {},
): Source => fileSource(files, { ...options, format: 'tfrecord' })

function nameOf(files: SourceFiles): string {
  const all = typeof files === 'string' ? [files] : Object.values(files).flat()
  return all.length === 1 ? (all[0] as string) : `${String(all[0])} and ${all.length - 1} more`
}
