import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { FileError } from '../../base/errors.js'
import { withPath } from '../../base/system-errors.js'
import { cachedCopy } from './cache.js'
import { columnsOf } from './columns.js'
import { unpacked } from './compression.js'
import { openDelimited } from './delimited/delimited.js'
import type { DelimitedOptions } from './delimited/delimited.js'
import { SAMPLE_BYTES } from './delimited/recognize.js'
import { readChunks } from './indexed-files.js'
import { jsonLinesFormat } from './json-lines.js'
import type { Fields } from '../preprocessor.js'
import { checkCut } from './records.js'
import type { RecordFormat } from './records.js'
import { lineFormat } from './text-lines.js'
import { tfExampleFormat } from './tfrecord/example.js'
import type { FeatureType } from './tfrecord/example.js'
import { isTfRecord } from './tfrecord/framing.js'
import { valueFormat, writeValues } from './values.js'

/** The formats of files. `delimited` is CSV, TSV and their kin. */
const fileFormats = ['lines', 'jsonl', 'delimited', 'parquet', 'tfrecord'] as const
export type FileFormat = (typeof fileFormats)[number]

export interface DataFileOptions extends DelimitedOptions {
  /** Default: told by the file's content and name. */
  readonly format?: FileFormat
  /** The features of tf.train.Example. Default: all that a record has. */
  readonly features?: Readonly<Record<string, FeatureType>>
  /** The columns of a Parquet file that are read; `a.b` reads all of `a`. Default: all. */
  readonly columns?: readonly string[]
  /** Chooses the columns of a Parquet file that are read, from all that it has; `sample` as in `DataFile`. */
  readonly select?: (columns: readonly string[], sample: DataFile['sample']) => Promise<readonly string[]>
  /** Columns that the user has named: a first line that holds them is a header. */
  readonly named?: readonly string[]
  /** As in `IndexedFilesOptions`. */
  readonly skipBadRows?: boolean
}

/** A file of examples, ready to be indexed. */
export interface DataFile {
  /** The file as the user named it, for messages. */
  readonly name: string
  /** The file that is read: the same, or a copy that has random access. */
  readonly path: string
  readonly format: RecordFormat
  /**
   * The names of its columns; of JSON Lines and TFRecord, those of its first records. Fields of nested records are
   * named by their paths: `translation.en`. None: the file is empty.
   */
  readonly columns: readonly string[]
  /** What was recognized, for a user: `JSON Lines`, `comma-separated, with a header line (text, label)`. */
  readonly description: string
  readonly notes: readonly string[]
  /** Reads the first rows: at most 100. */
  readonly sample: () => Promise<readonly Fields[]>
  /** Whether the file names its columns and has no rows. */
  readonly isHeaderOnly: boolean
}

/** Finds out how a file is read. A file without random access (gzip, Parquet) is copied into the cache first. */
export async function openDataFile(name: string, options: DataFileOptions = {}): Promise<DataFile> {
  const { path, note } = await unpacked(name)
  const sample = await firstBytes(path, name)
  const format = options.format ?? recognizeFormat(name, sample)
  const file = { name, path, notes: note === undefined ? [] : [note] }
  switch (format) {
    case 'lines':
      return {
        ...file,
        format: lineFormat,
        columns: ['text'],
        description: 'lines of text',
        sample: () => Promise.resolve([]),
        isHeaderOnly: false,
      }
    case 'jsonl':
      return withColumns({ ...file, format: jsonLinesFormat, description: 'JSON Lines' })
    case 'tfrecord':
      return withColumns({
        ...file,
        format: tfExampleFormat(options.features),
        description: 'TFRecord of tf.train.Example',
      })
    case 'delimited':
      return { ...file, ...(await openDelimited(name, sample, options, options.named)) }
    case 'parquet':
      return openParquet(file, options)
  }
}

async function openParquet(
  { name, path, notes }: Pick<DataFile, 'name' | 'path' | 'notes'>,
  options: Pick<DataFileOptions, 'columns' | 'select'>,
): Promise<DataFile> {
  const { parquetColumns, parquetRowCount, parquetRows, parquetSample } = await import('./parquet.js')
  const columns = await parquetColumns(path)
  const paths = [...columns.values()].flat()
  const rows = await parquetRowCount(path)
  const sampled = (): Promise<Fields[]> => parquetSample(path, Math.min(rows, SAMPLED))
  // Without rows, there is nothing to choose between.
  const selected = options.columns ?? (rows === 0 ? paths : await options.select?.(paths, sampled))
  // Of a nested record, all fields are read.
  const read = selected && [...columns.keys()].filter(name => selected.some(path => `${path}.`.startsWith(`${name}.`)))
  const copy = await cachedCopy(resolve(path), `parquet ${JSON.stringify(read ?? null)}`, to =>
    writeValues(to, parquetRows(path, read)),
  )
  return {
    name,
    path: copy.path,
    format: valueFormat(number => `${name}: row ${number + 1}`),
    columns: selected ?? paths,
    description: 'Parquet',
    sample: sampled,
    isHeaderOnly: rows === 0,
    notes: [
      ...notes,
      `${name} ${copy.made ? 'was copied row by row to' : 'is read from its copy'} ${copy.path}: Parquet has no fast access to single rows`,
    ],
  }
}

/** Recognizes a file's format: Parquet and TFRecord by their content, all else by the end of the name. */
function recognizeFormat(name: string, sample: Uint8Array): FileFormat {
  if (Buffer.from(sample.subarray(0, 4)).toString('latin1') === 'PAR1') return 'parquet'
  if (isTfRecord(sample)) return 'tfrecord'
  const plainName = name.replace(/\.gz$/i, '')
  const start = Buffer.from(sample.subarray(0, 1024))
    .toString('latin1')
    .replace(/^\u00ef\u00bb\u00bf/, '')
    .trimStart()
  if (/\.json$/i.test(plainName) && start.startsWith('['))
    throw new FileError(
      `${name}: this file is one JSON array; write each of its objects on a line of its own (JSON Lines), as \`jq -c '.[]'\` does`,
    )
  if (/\.(jsonl|ndjson|json)$/i.test(plainName)) return 'jsonl'
  if (/\.parquet$/i.test(plainName)) return 'parquet'
  return start.startsWith('{"') && !/\.[ct]sv$/i.test(plainName) ? 'jsonl' : 'delimited'
}

/** The number of records in a sample of a file. They show the columns of a format that does not list them. */
const SAMPLED = 100

/**
 * Adds the columns that the first records have, of those that can be read: wrong ones are reported when all are read.
 * Throws a FileError if none of the first records can be read.
 */
async function withColumns(file: Omit<DataFile, 'columns' | 'sample' | 'isHeaderOnly'>): Promise<DataFile> {
  const columns = new Set<string>()
  const sample: Fields[] = []
  let problem: FileError | undefined
  let tried = 0
  for await (const record of file.format.cut(readChunks(file.path, file.name), file.name)) {
    try {
      checkCut(record)
      const fields = file.format.parse(record.bytes, record.where)
      if (fields === undefined) continue
      sample.push(fields)
      for (const column of columnsOf(fields)) columns.add(column)
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      problem ??= error
    }
    if (++tried === SAMPLED) break
  }
  if (sample.length === 0 && problem !== undefined) throw problem
  return { ...file, columns: [...columns], sample: () => Promise.resolve(sample), isHeaderOnly: false }
}

async function firstBytes(path: string, name: string): Promise<Uint8Array> {
  return withPath(name, async () => {
    const handle = await open(path)
    try {
      const bytes = new Uint8Array(SAMPLE_BYTES)
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
      return bytes.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  })
}
