import { cachedPromise } from '../../base/promise-cache.js'
import type { ByteSource } from '../byte-source.js'
import type { PageStore } from '../experts/page-cache.js'
import type { HubRanges } from './ranges.js'

/**
 * The bytes at an end of a file that are fetched by one request, since they hold headers: those of a file of 10 GB in
 * torch's format, with tensors of 25 MB, have 100 KB.
 */
const EDGE_BYTES = 2 ** 17

/** Where a format has its headers: safetensors at the beginning, torch at both ends. */
export type HeaderPlace = 'beginning' | 'bothEnds'

/** A range of a file: from `begin` up to `end`. */
type Range = readonly [begin: number, end: number]

/**
 * A file on the hub as a source whose reads are kept on disk, for what is needed at each start: headers and dense
 * tensors. What was read once is never fetched again while the cache has it.
 */
export function keptRanges(ranges: HubRanges, cache: PageStore, headers: HeaderPlace): ByteSource {
  const { size, file } = ranges
  const beginning: Range = [0, Math.min(size, EDGE_BYTES)]
  const edges: readonly Range[] =
    headers === 'beginning'
      ? [beginning]
      : size <= 2 * EDGE_BYTES
        ? [[0, size]]
        : [beginning, [size - EDGE_BYTES, size]]
  const fetched = new Map<Range, Promise<Uint8Array>>()

  async function fetch([begin, end]: Range): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - begin)
    const name = `${file.etag}/${begin}-${end}`
    if (await cache.read(name, bytes)) return bytes
    await ranges.readInto(begin, bytes)
    await cache.write(name, bytes)
    return bytes
  }

  return {
    path: ranges.path,
    size,
    remote: ranges,
    read: async (offset, length) => {
      const end = Math.min(offset + length, size)
      if (offset >= end) return new Uint8Array()
      const edge = edges.find(([first, last]) => offset >= first && end <= last)
      return edge
        ? (await cachedPromise(fetched, edge, () => fetch(edge))).slice(offset - edge[0], end - edge[0])
        : fetch([offset, end])
    },
  }
}
