/** A source whose pages are ranges of files. */
import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { Reads } from './reads.js'
import type { ExpertRead } from './reads.js'
import { expertName, partBytes } from './source.js'
import type { ExpertSource, ExpertStack } from './source.js'

/** A file that pages are read from. */
export interface RangeFile {
  readonly path: string
  /**
   * Whether it is behind a network. Such a file repeats failed requests itself, and throws no FileError. Default: no.
   */
  readonly isRemote?: boolean
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

/** A source of such pages. */
export function rangedSource({ name, stacks, files, rangesOf, verify }: RangedPages): ExpertSource {
  const reads = new Reads(name, stacks)
  const traffic = { disk: 0, network: 0 }

  async function readRange(
    { file, begin, offset, bytes }: PageRange,
    page: Uint8Array,
    what: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const done = await file.readInto(begin, page.subarray(offset, offset + bytes), signal)
    traffic[file.isRemote ? 'network' : 'disk'] += done
    if (done < bytes)
      throw new FileError(
        `${file.path}: ${what} cannot be read: the file ends ${formatCount(bytes - done)} bytes too early: it was cut off, copy or download it again`,
      )
  }

  async function readPage({ stack, expert, page, signal }: ExpertRead): Promise<void> {
    const what = expertName(stacks[stack], expert)
    const ranges = await rangesOf(stack, expert)
    const ended = await Promise.allSettled(ranges.map(range => readRange(range, page, what, signal)))
    const failed = ended.find(result => result.status === 'rejected')
    if (failed) throw failed.reason
    verify?.(stack, expert, page)
  }

  return {
    name,
    stacks,
    read: (stack, expert, page, signal) => {
      const wanted = { stack, expert, page, signal }
      return reads.run(wanted, () => readPage(wanted))
    },
    traffic: () => ({ ...traffic }),
    close: () =>
      reads.close(async () => {
        for (const file of files) await file.close()
      }),
  }
}
