import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { FileError } from '../../base/errors.js'
import { Lru } from '../../base/lru.js'
import { systemAdvice } from '../../base/system-errors.js'
import type { RecordPlace } from './record-index.js'

const BLOCK_BYTES = 1 << 14
/** At most 16 MiB of blocks are kept in memory. */
const MAX_BLOCKS = 1024
const MAX_OPEN_FILES = 16

/** A file and what identifies its content: a file that was replaced or edited since has another size or time. */
export interface FileVersion {
  readonly path: string
  readonly size: number
  readonly mtimeMs: number
}

/**
 * Reads ranges of bytes of many files, synchronously and in any order. Files are opened when they are needed; recently
 * used blocks are kept. Memory and open files are bounded, however large and many the files are.
 */
export class PositionalReader {
  private readonly handles = new Lru<number, number>(MAX_OPEN_FILES, closeSync)
  private readonly blocks = new Lru<string, Uint8Array>(MAX_BLOCKS)
  private readonly open = new Set<number>()

  constructor(private readonly files: readonly FileVersion[]) {}

  /** The bytes at a place. Throws a FileError if the file has changed since it was indexed. */
  read({ file, start, length }: RecordPlace): Uint8Array {
    const first = Math.floor(start / BLOCK_BYTES)
    const last = Math.floor((start + Math.max(length, 1) - 1) / BLOCK_BYTES)
    if (first === last) {
      const offset = start - first * BLOCK_BYTES
      return this.block(file, first).subarray(offset, offset + length)
    }
    const bytes = new Uint8Array(length)
    if (last - first > 1) this.fill(file, start, bytes)
    else {
      const head = this.block(file, first).subarray(start - first * BLOCK_BYTES)
      bytes.set(head)
      bytes.set(this.block(file, last).subarray(0, length - head.length), head.length)
    }
    return bytes
  }

  close(): void {
    for (const file of this.open) {
      const handle = this.handles.peek(file)
      if (handle !== undefined) closeSync(handle)
      this.handles.delete(file)
    }
    this.open.clear()
  }

  private block(file: number, number: number): Uint8Array {
    const key = `${file}:${number}`
    const known = this.blocks.get(key)
    if (known !== undefined) return known
    const start = number * BLOCK_BYTES
    const block = new Uint8Array(Math.min(BLOCK_BYTES, this.files[file].size - start))
    this.fill(file, start, block)
    this.blocks.set(key, block)
    return block
  }

  private fill(file: number, start: number, into: Uint8Array): void {
    const { path } = this.files[file]
    const handle = this.handle(file)
    let done = 0
    while (done < into.length) {
      const read = readSync(handle, into, done, into.length - done, start + done)
      if (read === 0) throw changed(path)
      done += read
    }
  }

  private handle(file: number): number {
    const known = this.handles.get(file)
    if (known !== undefined) return known
    const { path, size, mtimeMs } = this.files[file]
    let handle: number
    try {
      handle = openSync(path, 'r')
    } catch (error) {
      throw new FileError(`${path}: ${systemAdvice(error as Error)}`, { cause: error })
    }
    const now = fstatSync(handle)
    if (now.size !== size || now.mtimeMs !== mtimeMs) {
      closeSync(handle)
      throw changed(path)
    }
    this.handles.set(file, handle)
    this.open.add(file)
    return handle
  }
}

const changed = (path: string): FileError =>
  new FileError(`${path}: the file has changed since it was indexed; start again with the new content`)
