import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { FileError } from '../../base/errors.js'
import { withPath } from '../../base/system-errors.js'
import { LongWork } from '../long-work.js'
import type { Fields } from '../preprocessor.js'
import { PositionalReader } from './positional-reader.js'
import type { FileVersion } from './positional-reader.js'
import { RecordIndex } from './record-index.js'
import { checkCut } from './records.js'
import type { RecordFormat } from './records.js'
import { BadRows } from './bad-rows.js'
import type { SourceDataset } from './source.js'

export interface IndexedFilesOptions {
  /** The names of the files in messages, where these differ from their paths (an unpacked copy has another). */
  readonly names?: readonly string[]
  readonly notes?: readonly string[]
  /** Leaves out records that cannot be read, which is noted with their number. Default: they are an error. */
  readonly skipBadRows?: boolean
}

/**
 * Opens files of records for random access. One streaming pass reads every record, which checks it, and keeps where it
 * is; after that, an example is read from its file when it is asked for. Memory: 12 bytes an example, and at most 16
 * MiB of recently used blocks. Throws a FileError that names the first wrong records and says how many there are.
 */
export async function openIndexedFiles(
  paths: readonly string[],
  formatOf: (file: number) => RecordFormat,
  { names = paths, notes = [], skipBadRows = false }: IndexedFilesOptions = {},
): Promise<SourceDataset> {
  const index = new RecordIndex()
  const files: FileVersion[] = []
  const bad = new BadRows()
  const hash = createHash('sha256')
  async function* hashed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      hash.update(chunk)
      yield chunk
    }
  }
  for (const [file, path] of paths.entries()) {
    const info = await withPath(names[file], () => stat(path))
    files.push({ path, size: info.size, mtimeMs: info.mtimeMs })
    const format = formatOf(file)
    const work = new LongWork(`indexing ${names[file]}`, info.size, 'bytes')
    for await (const record of format.cut(hashed(readChunks(path, names[file])), names[file])) {
      const { bytes, start, where } = record
      work.at(start)
      try {
        checkCut(record)
        if (format.parse(bytes, where) !== undefined) index.add(start, bytes.length)
      } catch (error) {
        if (!(error instanceof FileError)) throw error
        bad.add(error.message)
      }
    }
    work.end()
    index.endFile()
  }
  if (bad.count > 0 && !(skipBadRows && index.length > 0)) throw bad.error(index.length)
  const reader = new PositionalReader(files)
  return {
    length: index.length,
    notes: bad.count === 0 ? notes : [...notes, bad.note(index.length)],
    digest: hash.digest('hex'),
    get(i): Fields {
      const place = index.place(i)
      return formatOf(place.file).parse(reader.read(place), names[place.file])!
    },
    close: () => reader.close(),
  }
}

/** The bytes of a file, in chunks. Throws a FileError if it cannot be read. */
export async function* readChunks(path: string, name = path): AsyncGenerator<Uint8Array> {
  const stream = createReadStream(path, { highWaterMark: 1 << 18 })
  try {
    for await (const chunk of stream) yield chunk as Uint8Array
  } catch (error) {
    await withPath(name, () => Promise.reject(error as Error))
  } finally {
    stream.destroy()
  }
}
