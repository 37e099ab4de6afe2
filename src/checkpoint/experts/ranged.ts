/** A source whose pages are ranges of files. */
import { check, FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { expertName, partBytes } from './source.js'
import type { ExpertSource, ExpertStack } from './source.js'

/** A file that pages are read from. */
export interface RangeFile {
  readonly path: string
  /** Fills `bytes` from `offset` on. Returns how many bytes were read: fewer only if the file ends before. */
  readInto(offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<number>
  close(): Promise<void>
}

/** Where a range of a page is stored. */
export interface PageRange {
  readonly file: RangeFile
  readonly begin: number
  /** The range in the page. */
  readonly offset: number
  readonly bytes: number
}

export interface RangedPages {
  readonly name: string
  readonly stacks: readonly ExpertStack[]
  /** The files, closed with the source. More may be added while it is read. */
  readonly files: readonly RangeFile[]
  /** The ranges of an expert's page, which are read at the same time. */
  rangesOf(stack: number, expert: number): readonly PageRange[] | Promise<readonly PageRange[]>
  /** Throws a FileError if the page is not what was written. */
  verify?(stack: number, expert: number, page: Uint8Array): void
}

/** The ranges of a page whose parts lie apart: `placeOf` says where the part at an index of `parts` lies. */
export const partRanges = (
  { parts }: ExpertStack,
  placeOf: (part: number) => Pick<PageRange, 'file' | 'begin'>,
): PageRange[] => parts.map((part, i) => ({ ...placeOf(i), offset: part.offset, bytes: partBytes(part) }))

/** A source of such pages. A read that fails is tried once more: a disk or a network may answer the second time. */
export function rangedSource({ name, stacks, files, rangesOf, verify }: RangedPages): ExpertSource {
  const reads = new Set<Promise<void>>()
  let isClosed = false
  let disk = 0

  async function readRange({ file, begin, offset, bytes }: PageRange, page: Uint8Array, what: string): Promise<void> {
    const done = await file.readInto(begin, page.subarray(offset, offset + bytes))
    disk += done
    if (done < bytes)
      throw new FileError(
        `${file.path}: ${what} cannot be read: the file ends ${formatCount(bytes - done)} bytes too early: it was cut off, copy or download it again`,
      )
  }

  async function attempt(stack: number, expert: number, page: Uint8Array, what: string): Promise<void> {
    const ranges = await rangesOf(stack, expert)
    const ended = await Promise.allSettled(ranges.map(range => readRange(range, page, what)))
    const failed = ended.find(result => result.status === 'rejected')
    if (failed) throw failed.reason
    verify?.(stack, expert, page)
  }

  async function read(stack: number, expert: number, page: Uint8Array, signal?: AbortSignal): Promise<void> {
    const what = expertName(stacks[stack], expert)
    signal?.throwIfAborted()
    try {
      await attempt(stack, expert, page, what)
    } catch {
      signal?.throwIfAborted()
      await attempt(stack, expert, page, what).catch((error: unknown) => {
        throw withExpert(error, what)
      })
    }
    signal?.throwIfAborted()
  }

  return {
    name,
    stacks,
    async read(stack, expert, page, signal) {
      checkPage(stacks, stack, expert, page)
      if (isClosed) throw closedSource(name, stacks[stack], expert)
      const reading = read(stack, expert, page, signal)
      reads.add(reading)
      try {
        await reading
      } finally {
        reads.delete(reading)
      }
    },
    traffic: () => ({ disk, network: 0 }),
    async close() {
      if (isClosed) return
      isClosed = true
      await Promise.allSettled(reads)
      for (const file of files) await file.close()
    },
  }
}

/** An error of the file, with the name of the expert that was to be read. */
function withExpert(error: unknown, what: string): unknown {
  if (!(error instanceof FileError) || error.message.includes(what)) return error
  return new FileError(`${error.message}; ${what} was to be read`, { cause: error })
}

/** Throws a ShapeError unless the stack and the expert exist and the page has their size. */
export function checkPage(stacks: readonly ExpertStack[], stack: number, expert: number, page: Uint8Array): void {
  const found = stacks.at(stack)
  check(stack >= 0 && found !== undefined, () => `there is no stack ${stack}: the model has ${stacks.length}`)
  const { path, numExperts, bytes } = found
  check(expert >= 0 && expert < numExperts, () => `there is no expert ${expert} in ${path}: it has ${numExperts}`)
  check(page.byteLength === bytes, () => `a page of ${path} has ${bytes} bytes, not ${page.byteLength}`)
}

/** The error of a source that was asked for an expert after it was closed. */
export const closedSource = (name: string, stack: ExpertStack, expert: number): FileError =>
  new FileError(`${name}: ${expertName(stack, expert)} cannot be read: the file has been closed`)
