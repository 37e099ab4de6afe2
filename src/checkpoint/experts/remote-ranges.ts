import { check } from '../../base/errors.js'
import type { RemoteRange } from '../format.js'
import type { PageRange } from './ranged.js'
import { partBytes } from './source.js'
import type { ExpertPart } from './source.js'

/** Parts with at most so many bytes between them are fetched by one request. */
const MAX_GAP = 2 ** 16

/** A part of an expert, and where it lies in a file behind a network. */
export interface RemotePart {
  readonly part: ExpertPart
  readonly range: RemoteRange
}

/** The ranges of a page whose parts lie in files behind a network: one for all parts that lie next to each other. */
export function remoteRanges(parts: readonly RemotePart[]): PageRange[] {
  const groups: RemotePart[][] = []
  for (const next of parts.toSorted((a, b) => a.range.begin - b.range.begin)) {
    const group = groups.find(parts => isBehind(next.range, parts[parts.length - 1].range))
    if (group) group.push(next)
    else groups.push([next])
  }
  return groups.map(rangeOf)
}

/** Whether a range begins just after another one of the same file. */
const isBehind = (next: RemoteRange, range: RemoteRange): boolean =>
  next.file === range.file && next.begin >= range.end && next.begin - range.end <= MAX_GAP

/** The range of a page that holds these parts. Other parts may lie between them: they are not written. */
function rangeOf(parts: readonly RemotePart[]): PageRange {
  const { file, begin } = parts[0].range
  const { end } = parts[parts.length - 1].range
  const offset = Math.min(...parts.map(({ part }) => part.offset))
  const bytes = Math.max(...parts.map(({ part }) => part.offset + partBytes(part))) - offset
  return {
    begin,
    offset,
    bytes,
    file: {
      path: file.path,
      isRemote: true,
      async readInto(_, page, signal) {
        const fetched = new Uint8Array(end - begin)
        await file.readInto(begin, fetched, signal)
        for (const { part, range } of parts) {
          const data = range.dataIn(fetched.subarray(range.begin - begin, range.end - begin))
          check(data.byteLength === partBytes(part), () => `${part.parameter}: a part has ${data.byteLength} bytes`)
          page.set(data, part.offset - offset)
        }
        return bytes
      },
      close: () => Promise.resolve(),
    },
  }
}
