import { check } from '../../base/errors.js'
import { bytesOf } from '../../base/host-tensor.js'
import { Lru } from '../../base/lru.js'
import { cachedPromise } from '../../base/promise-cache.js'
import type { DiskFile } from '../byte-source.js'
import type { CheckpointReader } from '../format.js'
import { rangedSource } from './ranged.js'
import type { PageRange, RangeFile } from './ranged.js'
import { remoteRanges } from './remote-ranges.js'
import type { RemotePart } from './remote-ranges.js'
import { expertName, partBytes } from './source.js'
import type { ExpertPart, ExpertSource, ExpertStack } from './source.js'

/** How many pages' ranges are kept, at about 1 KB each: as many pages as fit into most memories. */
const MAX_KNOWN = 4096

export interface ExpertTensors {
  /** For messages: the folder or repository. */
  readonly name: string
  readonly stacks: readonly ExpertStack[]
  /** The files' tensors. The source needs it open, and does not close it. */
  readonly reader: CheckpointReader
  /** The tensor that holds a part of an expert. */
  tensorOf(part: ExpertPart, expert: number): string
}

/**
 * A source of experts whose kernels are tensors of their own, as in Hugging Face's files. A tensor whose bytes lie in a
 * file on disk or behind a network is read from there into the page; others are read by `reader` and copied. Each file
 * on disk is opened when an expert in it is first read.
 */
export function tensorExperts({ name, stacks, reader, tensorOf }: ExpertTensors): ExpertSource {
  const opened = new Map<string, Promise<RangeFile>>()
  const files: RangeFile[] = []
  const open = async (file: DiskFile): Promise<RangeFile> => {
    const handle = await file.open()
    files.push(handle)
    return handle
  }

  const placeOf = async (part: ExpertPart, expert: number): Promise<PageRange | RemotePart> => {
    const tensor = tensorOf(part, expert)
    const stored = await reader.locate?.(tensor)
    const range = stored ? undefined : await reader.locateRemote?.(tensor)
    if (range) return { part, range }
    const place = { offset: part.offset, bytes: partBytes(part) }
    if (!stored) return { file: tensorFile(reader, tensor), begin: 0, ...place }
    check(stored.length === place.bytes, () => `${tensor} has ${stored.length} bytes, not ${place.bytes}`)
    return {
      file: await cachedPromise(opened, stored.file.path, () => open(stored.file)),
      begin: stored.offset,
      ...place,
    }
  }
  /** The ranges of pages that were read before: finding them in a torch file takes a read each. */
  const known = new Lru<string, PageRange[]>(MAX_KNOWN)
  return rangedSource({
    name,
    stacks,
    files,
    rangesOf: async (index, expert) => {
      const stack = stacks[index]
      const key = expertName(stack, expert)
      let ranges = known.get(key)
      if (!ranges) {
        const places = await Promise.all(stack.parts.map(part => placeOf(part, expert)))
        ranges = [...places.filter(place => 'file' in place), ...remoteRanges(places.filter(place => 'range' in place))]
        known.set(key, ranges)
      }
      return ranges
    },
  })
}

/** A tensor's bytes as if they were a file of their own. */
const tensorFile = (reader: CheckpointReader, tensor: string): RangeFile => ({
  path: reader.path,
  readInto: async (_, bytes) => {
    bytes.set(bytesOf(await reader.read(tensor)))
    return bytes.byteLength
  },
  close: () => Promise.resolve(),
})
