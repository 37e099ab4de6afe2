import { createReadStream } from 'node:fs'
import { FileError } from '../base/errors.js'
import type { Example } from './source.js'

/** A longer line means that this is not a file of pairs. The limit also bounds the memory. */
export const MAX_LINE_BYTES = 1 << 20

/** An error names at most this many wrong lines. */
const MAX_PROBLEMS = 5

/**
 * Reads a UTF-8 file of lines `input TAB target`, one line at a time. It drops spaces around a column, skips blank
 * lines, and accepts CRLF and a byte order mark. Throws a FileError that names the file and the first wrong lines.
 */
export async function* readPairs(path: string): AsyncGenerator<Example> {
  let number = 0
  const problems: string[] = []
  for await (const line of readLines(path)) {
    number++
    try {
      const example = parseLine(decode(line, `${path}:${number}`, number === 1), `${path}:${number}`)
      if (example && problems.length === 0) yield example
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      problems.push(error.message)
      if (problems.length === MAX_PROBLEMS) break
    }
  }
  if (problems.length > 0) throw new FileError(problems.join('\n'))
}

function parseLine(line: string, where: string): Example | undefined {
  if (/^[ \r]*$/.test(line)) return undefined
  const columns = line.split('\t').map(column => column.trim())
  if (columns.length !== 2) {
    throw new FileError(`${where}: expected 2 columns (input TAB target), got ${columns.length}: ${excerpt(line)}`)
  }
  const [input, target] = columns
  if (input === '') throw new FileError(`${where}: the input (first column) is empty`)
  if (target === '') throw new FileError(`${where}: the target (second column) is empty`)
  return { input, target, alternatives: [] }
}

/**
 * The bytes of each line. Lines are split before they are decoded, so that an error can name the line of a bad byte.
 */
async function* readLines(path: string): AsyncGenerator<Uint8Array> {
  let pending: Uint8Array[] = []
  let pendingBytes = 0
  let number = 1
  const take = (bytes: Uint8Array): void => {
    pendingBytes += bytes.length
    if (pendingBytes > MAX_LINE_BYTES)
      throw new FileError(`${path}:${number}: the line is longer than ${MAX_LINE_BYTES} bytes`)
    pending.push(bytes)
  }
  const flush = (): Uint8Array => {
    const line = pending.length === 1 ? pending[0] : Buffer.concat(pending)
    pending = []
    pendingBytes = 0
    number++
    return line
  }
  for await (const chunk of chunks(path)) {
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      take(chunk.subarray(start, end))
      yield flush()
      start = end + 1
    }
    if (start < chunk.length) take(chunk.subarray(start))
  }
  if (pendingBytes > 0) yield flush()
}

async function* chunks(path: string): AsyncGenerator<Uint8Array> {
  const stream = createReadStream(path)
  try {
    for await (const chunk of stream) yield chunk as Uint8Array
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') throw new FileError(`${path}: there is no such file`)
    if (code === 'EISDIR') throw new FileError(`${path}: this is a folder, not a file of pairs`)
    throw new FileError(`${path}: cannot be read: ${(error as Error).message}`)
  } finally {
    stream.destroy()
  }
}

// ignoreBOM keeps a byte order mark in the text. Only one at the start of the file is removed, by `decode`.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decode(bytes: Uint8Array, where: string, first: boolean): string {
  try {
    const text = utf8.decode(bytes)
    return first && text.startsWith('\ufeff') ? text.slice(1) : text
  } catch {
    throw new FileError(`${where}: not valid UTF-8; save the file as UTF-8 text`)
  }
}

const excerpt = (line: string): string => JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}...` : line)
