import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet'
import type { AsyncBuffer, FileMetaData, SchemaTree } from 'hyparquet'
import { FileError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import { withPath } from '../../base/system-errors.js'
import { LongWork } from '../long-work.js'
import type { Fields, FieldValue } from '../preprocessor.js'
import { columnsOf } from './columns.js'
import { decodeLine } from './text-lines.js'

/** A row group is read as a whole, so this bounds the memory. Writers make groups of up to about 1 GiB. */
const MAX_GROUP_BYTES = 2 ** 32

/**
 * The names of a Parquet file's columns; for each, the paths of the fields of its records (`translation.en`), or its
 * name alone. Throws a FileError if it is not a Parquet file, or damaged.
 */
export async function parquetColumns(path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const { compressors } = await import('hyparquet-compressors')
  return withParquet(path, async parquet => {
    const { children } = parquetSchema(parquet.metadata)
    const columns = new Map(children.map(node => [node.element.name, pathsOf(node)]))
    // The schema does not say what is inside of JSON: the first row shows it.
    const json = children.filter(({ element }) => isJson(element)).map(({ element }) => element.name)
    const [row] = json.length > 0 ? await parquetReadObjects({ ...parquet, columns: json, rowEnd: 1, compressors }) : []
    if (row !== undefined)
      for (const name of json) columns.set(name, columnsOf(fieldsOf({ [name]: row[name] }, `${path}: row 1`)))
    return columns
  })
}

const isJson = ({ converted_type, logical_type }: SchemaTree['element']): boolean =>
  [converted_type, logical_type?.type].some(type => type === 'JSON' || type === 'VARIANT')

/** The paths of a column's fields. The two inner levels of a list, and the entries of a map, are no fields. */
function pathsOf({ element, children }: SchemaTree): string[] {
  const kind = element.converted_type ?? element.logical_type?.type
  const fields = kind === 'LIST' ? (children[0]?.children[0]?.children ?? []) : kind?.startsWith('MAP') ? [] : children
  return fields.length === 0 ? [element.name] : fields.flatMap(pathsOf).map(path => `${element.name}.${path}`)
}

export const parquetRowCount = (path: string): Promise<number> =>
  withParquet(path, ({ metadata }) => Promise.resolve(Number(metadata.num_rows)))

/** The first rows of a Parquet file, as `parquetRows` gives them. */
export async function parquetSample(path: string, count: number): Promise<Fields[]> {
  const { compressors } = await import('hyparquet-compressors')
  const rows = await withParquet(path, file => parquetReadObjects({ ...file, rowEnd: count, compressors }))
  return rows.map((row, i) => fieldsOf(row, `${path}: row ${i + 1}`))
}

/**
 * The rows of a Parquet file, one row group at a time, as examples with the given columns (default: all). Null values
 * are left out, dates become ISO 8601 text, bytes UTF-8 text.
 */
export async function* parquetRows(path: string, columns?: readonly string[]): AsyncGenerator<Fields> {
  const { compressors } = await import('hyparquet-compressors')
  let start = 0
  const groups = await withParquet(path, ({ metadata }) =>
    Promise.resolve(metadata.row_groups.map(group => [Number(group.num_rows), Number(group.total_byte_size)] as const)),
  )
  const work = new LongWork(
    `copying ${path}`,
    groups.reduce((sum, [rows]) => sum + rows, 0),
  )
  for (const [rows, bytes] of groups) {
    if (bytes > MAX_GROUP_BYTES)
      throw new FileError(
        `${path}: a row group has ${formatBytes(bytes)}; at most ${formatBytes(MAX_GROUP_BYTES)} are read: write the file again with smaller row groups`,
      )
    const range = { rowStart: start, rowEnd: start + rows, columns: columns && [...columns] }
    const objects = await withParquet(path, file => parquetReadObjects({ ...file, ...range, compressors }))
    for (const [i, row] of objects.entries()) {
      work.at(start + i)
      yield fieldsOf(row, `${path}: row ${start + i + 1}`)
    }
    start += rows
  }
  work.end()
}

function fieldsOf(row: Readonly<Record<string, unknown>>, where: string): Fields {
  return Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) =>
      value === null || value === undefined ? [] : [[name, fieldValue(value, `${where}, column ${name}`)]],
    ),
  )
}

function fieldValue(value: unknown, where: string): FieldValue {
  if (value instanceof Uint8Array) return decodeLine(value, where)
  if (value instanceof Date) return value.toISOString()
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<number>)
  if (Array.isArray(value))
    return value.flatMap(item => (item === null || item === undefined ? [] : [fieldValue(item, where)]))
  if (typeof value === 'object') return fieldsOf(value as Record<string, unknown>, where)
  return value as string | number | bigint | boolean
}

interface ParquetFile {
  readonly file: AsyncBuffer
  readonly metadata: FileMetaData
}

async function withParquet<T>(path: string, use: (parquet: ParquetFile) => Promise<T>): Promise<T> {
  return withPath(path, async () => {
    const handle = await open(path)
    try {
      const file = await bufferOf(handle, path)
      return await use({ file, metadata: await parquetMetadataAsync(file) })
    } catch (error) {
      if (error instanceof FileError || (error as NodeJS.ErrnoException).code !== undefined) throw error
      // hyparquet throws plain errors for files that it cannot read.
      throw new FileError(
        `${path}: not a Parquet file, a damaged one, or one that is not supported: ${(error as Error).message}`,
        {
          cause: error,
        },
      )
    } finally {
      await handle.close()
    }
  })
}

/** A file as hyparquet reads it. Offsets in the file are not trusted: a range outside of it is an error. */
async function bufferOf(handle: FileHandle, path: string): Promise<AsyncBuffer> {
  const byteLength = (await handle.stat()).size
  return {
    byteLength,
    async slice(start, end = byteLength) {
      if (!(start >= 0 && end >= start && end <= byteLength))
        throw new FileError(
          `${path}: points to bytes ${start} to ${end} of a file of ${byteLength}: it is damaged or cut off`,
        )
      const bytes = new Uint8Array(end - start)
      for (let done = 0; done < bytes.length;) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done)
        if (bytesRead === 0) throw new FileError(`${path}: the file was cut off while it was read`)
        done += bytesRead
      }
      return bytes.buffer
    },
  }
}
